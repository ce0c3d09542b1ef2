"""Long short-term memory with one gate for input and forgetting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import sigmoid

from recurra.cells.activations import Activation, activation
from recurra.cells.cell import Cell
from recurra.cells.state import Gates, State


@dataclass(frozen=True)
class CoupledLSTM(Cell):
    """The LSTM with input gate 1 - f.

        f = σ(x_f + u_f)
        g = tanh(x_g + u_g)
        o = σ(x_o + u_o)
        c_t = f c_{t-1} + (1 - f) g
        h_t = o tanh(c_t)

    f weighs the old state, and 1 - f the new one, so that |c| stays below 1 with tanh. Called CIFG by Greff et al. The
    gates in torch's order without i, f g o.

    Args:
        activation: the name of the function of g and of c_t, here tanh, or a function itself, elementwise.
    """

    activation: str | Activation = "tanh"

    gates = ("f", "g", "o")
    states = ("h", "c")
    memory: ClassVar[Mapping[str, int]] = {"f": +1}
    paper = "Greff et al. (2017), LSTM: a search space odyssey"

    def __post_init__(self) -> None:
        activation(self.activation)

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """One step; see the class."""
        squash = activation(self.activation)
        f = sigmoid(x.f + u.f)
        g = squash(x.g + u.g)
        o = sigmoid(x.o + u.o)
        # A convex combination, so that |c| <= max |g| if it holds at the start.
        c = f * s.c + (1 - f) * g
        return State(h=o * squash(p.norm("c", c)), c=c), Gates(f=f, g=g, o=o)
