"""The parameters of one cell in one direction of one layer."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Weights(NamedTuple):
    """What `W_hh h_{t-1} + W_ih x_t + b` needs, in torch's layout: one block of H rows a gate.

    With G gates, R of them recurrent, input size I, hidden size H and projection size P (P = H without projection):
    """

    ih: Tensor
    """W_ih, (G·H, I)."""
    hh: Tensor
    """W_hh, (R·H, P)."""
    b_ih: Tensor | None = None
    """(G·H,)."""
    b_hh: Tensor | None = None
    """(R·H,)."""
    hr: Tensor | None = None
    """W_hr of a projected h, (P, H)."""
    vectors: tuple[Tensor, ...] = ()
    """One (H,) for each name in `Cell.vectors`."""
