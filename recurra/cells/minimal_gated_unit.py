"""The gated unit with a single gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import sigmoid

from recurra.cells.activations import Activation, activation
from recurra.cells.cell import Cell
from recurra.cells.state import Gates, State


@dataclass(frozen=True)
class MinimalGatedUnit(Cell):
    """A GRU with a single gate.

        f = σ(x_f + u_f)
        n = tanh(x_n + u_n(f h_{t-1}))
        h_t = (1 - f) h_{t-1} + f n

    f is both the reset and the update gate. It weighs the new state, as in the paper (in a GRU z weighs the old): a
    forget bias of b begins with b_f = -b. The gates in the order f n.

    Args:
        activation: the name of the function of n, here tanh, or a function itself, elementwise.
    """

    activation: str | Activation = "tanh"

    gates = ("f", "n")
    memory: ClassVar[Mapping[str, int]] = {"f": -1}
    paper = "Zhou et al. (2016), Minimal gated unit for recurrent neural networks"

    def __post_init__(self) -> None:
        activation(self.activation)

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """One step; see the class."""
        squash = activation(self.activation)
        f = sigmoid(x.f + u.f)
        # f acts before the product, as r in the first GRU.
        n = squash(x.n + u("n", f * s.h))
        return State(h=(1 - f) * s.h + f * n), Gates(f=f, n=n)
