"""Long short-term memory whose gates read the cell state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import sigmoid

from recurra.cells.activations import Activation, activation
from recurra.cells.cell import Cell
from recurra.cells.state import Gates, State


@dataclass(frozen=True)
class PeepholeLSTM(Cell):
    """An LSTM whose gates read its cell.

        i = σ(x_i + u_i + p_i c_{t-1})
        f = σ(x_f + u_f + p_f c_{t-1})
        g = tanh(x_g + u_g)
        c_t = f c_{t-1} + i g
        o = σ(x_o + u_o + p_o c_t)
        h_t = o tanh(c_t)

    Graves (2013), eq. 7-11. The peepholes p_i, p_f, p_o are one number per unit; o reads the new cell state, i and f
    the last one. The gates in torch's order, i f g o.

    Args:
        activation: the name of the function of g and of c_t, here tanh, or a function itself, elementwise.
    """

    activation: str | Activation = "tanh"

    gates = ("i", "f", "g", "o")
    states = ("h", "c")
    vectors = ("i", "f", "o")
    memory: ClassVar[Mapping[str, int]] = {"f": +1, "i": -1}
    paper = "Gers & Schmidhuber (2000), Recurrent nets that time and count"

    def __post_init__(self) -> None:
        activation(self.activation)

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """One step; see the class."""
        squash = activation(self.activation)
        i = sigmoid(x.i + u.i + p.i * s.c)
        f = sigmoid(x.f + u.f + p.f * s.c)
        g = squash(x.g + u.g)
        c = f * s.c + i * g
        # After c: the output gate's peephole reads the new cell state.
        o = sigmoid(x.o + u.o + p.o * c)
        return State(h=o * squash(p.norm("c", c)), c=c), Gates(i=i, f=f, g=g, o=o)
