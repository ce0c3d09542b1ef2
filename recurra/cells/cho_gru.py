"""The first gated recurrent unit, reset before the product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import sigmoid

from recurra.cells.activations import Activation, activation
from recurra.cells.cell import Cell
from recurra.cells.state import Gates, State


@dataclass(frozen=True)
class ChoGRU(Cell):
    """The GRU, reset before the product.

        r = σ(x_r + u_r)
        z = σ(x_z + u_z)
        n = tanh(x_n + u_n(r h_{t-1}))
        h_t = (1 - z) n + z h_{t-1}

    Eq. 5-8 of the paper, where the input of n's recurrent product is r h_{t-1}; torch and cuDNN multiply r with the
    product instead (`gru`). z weighs the old state. The gates in torch's order, r z n.

    Args:
        activation: the name of the function of n, here tanh, or a function itself, elementwise.
    """

    activation: str | Activation = "tanh"

    gates = ("r", "z", "n")
    memory: ClassVar[Mapping[str, int]] = {"z": +1}
    paper = "Cho et al. (2014), Learning phrase representations using RNN encoder-decoder"

    def __post_init__(self) -> None:
        activation(self.activation)

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """One step; see the class."""
        squash = activation(self.activation)
        r = sigmoid(x.r + u.r)
        z = sigmoid(x.z + u.z)
        # A second product, which cannot begin before r is computed.
        n = squash(x.n + u("n", r * s.h))
        return State(h=(1 - z) * n + z * s.h), Gates(r=r, z=z, n=n)
