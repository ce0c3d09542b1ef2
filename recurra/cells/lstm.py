"""Long short-term memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import sigmoid

from recurra.cells.activations import Activation, activation
from recurra.cells.cell import Cell
from recurra.cells.state import Gates, State


@dataclass(frozen=True)
class LSTM(Cell):
    """Long short-term memory.

        i = σ(x_i + u_i)
        f = σ(x_f + u_f)
        g = tanh(x_g + u_g)
        o = σ(x_o + u_o)
        c_t = f c_{t-1} + i g
        h_t = o tanh(c_t)

    With forget gate and without peepholes, the gates in the order of torch's `nn.LSTM`, i f g o (Keras and others call
    g the candidate c, in the same place: i f c o). The initialisation sets the forget bias; torch's is near 0.

    Args:
        activation: the name of the function of g and of c_t, here tanh, or a function itself, elementwise.
    """

    activation: str | Activation = "tanh"

    gates = ("i", "f", "g", "o")
    states = ("h", "c")
    memory: ClassVar[Mapping[str, int]] = {"f": +1, "i": -1}
    paper = "Hochreiter & Schmidhuber (1997), Long short-term memory; forget gate: Gers, Schmidhuber & Cummins (2000)"

    def __post_init__(self) -> None:
        activation(self.activation)

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """One step; see the class."""
        squash = activation(self.activation)
        i = sigmoid(x.i + u.i)
        f = sigmoid(x.f + u.f)
        g = squash(x.g + u.g)
        o = sigmoid(x.o + u.o)
        c = f * s.c + i * g
        # Only the output reads the normalised cell (Ba et al. 2016, eq. 22): c itself is carried on unchanged.
        return State(h=o * squash(p.norm("c", c)), c=c), Gates(i=i, f=f, g=g, o=o)
