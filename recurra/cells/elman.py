"""The simple recurrent network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recurra.cells.activations import Activation, activation
from recurra.cells.cell import Cell
from recurra.cells.state import Gates, State


@dataclass(frozen=True)
class Elman(Cell):
    """The simple recurrent network.

        h_t = f(x_h + u_h)

    f is tanh or relu in torch's `nn.RNN`, and any function here.

    Args:
        activation: the name of f or a function itself, elementwise.
    """

    activation: str | Activation = "tanh"

    gates = ("h",)
    paper = "Elman (1990), Finding structure in time"

    def __post_init__(self) -> None:
        activation(self.activation)

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """One step; see the class."""
        f = activation(self.activation)
        return State(h=f(x.h + u.h)), Gates()
