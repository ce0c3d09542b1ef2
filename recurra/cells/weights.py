"""The parameters of one cell in one direction of one layer."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Norms(NamedTuple):
    """The gains of layer normalisation (Ba et al. 2016, eq. 20-22); b_ih and b_hh are the shifts of x and u."""

    ih: Tensor
    """Gains of W_ih x, (G·H,)."""
    hh: Tensor
    """Gains of W_hh h, (R·H,)."""
    states: tuple[tuple[Tensor, Tensor], ...] = ()
    """Gain and shift, (H,) each, of each state in `Formula.normalised`."""


class Weights(NamedTuple):
    """The parameters of `W_hh h_{t-1} + W_ih x_t + b` in torch's layout, one block of H rows per gate.

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
    """W_hr of a projected h, (P, H). If the formula reads its own h (`Formula.reads_h`), the state is h of width H,
    and W_hr h is the output and the input of recurrent products; else the state is W_hr h itself, as in torch."""
    vectors: tuple[Tensor, ...] = ()
    """One vector (H,) for each name in `Cell.vectors`."""
    norms: Norms | None = None
    """The gains and shifts of layer normalisation; None without it."""
