"""The gated recurrent unit, reset after the product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import sigmoid

from recurra.cells.activations import Activation, activation
from recurra.cells.cell import Cell
from recurra.cells.state import Gates, State


@dataclass(frozen=True)
class GRU(Cell):
    """The gated recurrent unit of cuDNN.

        r = σ(x_r + u_r)
        z = σ(x_z + u_z)
        n = tanh(x_n + r u_n)
        h_t = (1 - z) n + z h_{t-1}

    The reset gate acts after the recurrent product, as in torch's `nn.GRU`, with the same order of gates, r z n; the
    original GRU, with the reset before the product, is `cho_gru`. z weighs the old state, as in eq. 7 of the paper.

    Args:
        activation: the name of the function of n, here tanh, or a function itself, elementwise.
    """

    activation: str | Activation = "tanh"

    gates = ("r", "z", "n")
    memory: ClassVar[Mapping[str, int]] = {"z": +1}
    paper = "Cho et al. (2014), Learning phrase representations using RNN encoder-decoder; reset as in cuDNN"

    def __post_init__(self) -> None:
        activation(self.activation)

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """One step; see the class."""
        squash = activation(self.activation)
        r = sigmoid(x.r + u.r)
        z = sigmoid(x.z + u.z)
        # cuDNN's order, product before reset: one product serves all gates. u.n includes b_hh, which r scales too.
        n = squash(x.n + r * u.n)
        return State(h=(1 - z) * n + z * s.h), Gates(r=r, z=z, n=n)
