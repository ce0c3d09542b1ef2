"""The gated recurrent unit without a recurrent product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import sigmoid

from recurra.cells.activations import Activation, activation
from recurra.cells.cell import Cell
from recurra.cells.state import Gates, State


@dataclass(frozen=True)
class MinGRU(Cell):
    """A GRU whose gates do not read h.

        z = σ(x_z)
        n = x_n
        h_t = (1 - z) h_{t-1} + z n

    The sequential form of the paper, not the logarithmic one for a parallel scan:
    n is linear and h may have either sign. z weighs the new state (in a GRU it weighs the old): a forget bias of b
    begins with b_z = -b. The gates in the order z n; no gate is recurrent, so W_hh has no rows.

    Args:
        activation: the name of a function of n, elementwise, or a function itself; identity as in the paper.
    """

    activation: str | Activation = "identity"

    gates = ("z", "n")
    recurrent = ()
    memory: ClassVar[Mapping[str, int]] = {"z": -1}
    paper = "Feng et al. (2024), Were RNNs all we needed?"

    def __post_init__(self) -> None:
        activation(self.activation)

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """One step; see the class."""
        z = sigmoid(x.z)
        n = activation(self.activation)(x.n)
        return State(h=(1 - z) * s.h + z * n), Gates(z=z, n=n)
