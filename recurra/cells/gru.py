"""The gated recurrent unit, reset after the product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import sigmoid, tanh

from recurra.cells.cell import Cell
from recurra.cells.state import Gates, State


@dataclass(frozen=True)
class GRU(Cell):
    """The GRU of torch's `nn.GRU` and cuDNN: the reset gate acts after the recurrent product.

    r, z = σ(W_ih x_t + W_hh h_{t-1} + b), n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn)),
    h_t = (1 - z) n + z h_{t-1}. Here z weighs the old state; in Cho et al. (2014) eq. 7 as well.
    """

    gates = ("r", "z", "n")
    memory: ClassVar[Mapping[str, int]] = {"z": +1}
    paper = "Cho et al. (2014), with the reset gate after the product as in cuDNN"

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """One step; see the class."""
        r = sigmoid(x.r + u.r)
        z = sigmoid(x.z + u.z)
        n = tanh(x.n + r * u.n)
        return State(h=(1 - z) * n + z * s.h), Gates(r=r, z=z, n=n)
