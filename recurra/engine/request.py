"""One direction of one layer to run through time: what every engine receives and returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from recurra.cells import Cell, Gates, State, Weights


class Masks(NamedTuple):
    """What is random in a pass, drawn before it, so that every engine computes the same numbers."""

    h: Tensor | None = None
    """Recurrent dropout, (B, H) or (B, P) with a projection: multiplies what enters a recurrent product, at every step;
    0 where dropped, 1 / (1 - rate) elsewhere."""
    zoneout: tuple[Tensor | None, ...] = ()
    """For each state a tensor k that broadcasts to (T, B, its size), or None: s_t = k s_{t-1} + (1 - k) s_new. 0 and 1
    while training, the rate itself in evaluation. Empty where no state is zoned out."""


NO_MASKS = Masks()
"""Nothing dropped and nothing zoned out."""


@dataclass(frozen=True)
class Request:
    """A cell, its weights and a batch of sequences.

    Time runs from 0 to T - 1, or back from each row's own end where `reverse`; y stays in the order of x either way.
    """

    cell: Cell
    x: Tensor
    """(T, B, I)."""
    state: State
    """The state each row starts from, tensors (B, H)."""
    weights: Weights
    lengths: Tensor | None = None
    """int64 (B,), 0 to T; None where every row has T steps. Past its length a row is not read, and y is 0 there."""
    reverse: bool = False
    masks: Masks = NO_MASKS
    keep: bool = False
    """Whether the gates of every step are wanted."""
    recompute: int = 0
    """Steps between the states that are kept for the backward pass, which computes what lies between again; 0 keeps
    all there is."""

    known: dict[str, Any] | None = None
    """What the call that this request belongs to has learnt of the cell's step, so that it is looked at once a call."""

    @property
    def present(self) -> Tensor:
        """Where there is data: bool (T, B, 1)."""
        assert self.lengths is not None
        steps = self.lengths.new_tensor(range(self.x.shape[0])).to(self.x.device)  # (T,)
        return (steps[:, None] < self.lengths.to(self.x.device))[:, :, None]  # (T, B, 1)


class Result(NamedTuple):
    """What an engine returns."""

    y: Tensor
    """h of every step, (T, B, H), or (T, B, P) with a projection."""
    state: State
    """The state of each row at its own end (its own beginning where the request is reversed)."""
    kept: Gates | None = None
    """The gates of every step, (T, B, H) each in the order of x, 0 past a row's length, where `Request.keep`."""
