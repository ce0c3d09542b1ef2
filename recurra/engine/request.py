"""The argument and the result of every engine: one direction of one layer, run over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from recurra.cells import Cell, Gates, State, Weights
from recurra.engine.restarts import Restarts


class Masks(NamedTuple):
    """The random masks of a pass, drawn beforehand, so that every engine computes the same numbers."""

    h: Tensor | None = None
    """Recurrent dropout, (B, H) or (B, P) with a projection: multiplies the input of the recurrent products at every
    step; 0 where dropped, 1 / (1 - rate) elsewhere."""
    zoneout: tuple[Tensor | None, ...] = ()
    """For each state a tensor k that broadcasts to (T, B, its size), or None: s_t = k s_{t-1} + (1 - k) s_new. 0 and 1
    while training, the rate itself in evaluation. Empty if no state is zoned out."""


NO_MASKS = Masks()
"""No dropout and no zoneout."""


@dataclass(frozen=True)
class Request:
    """A cell, its weights and a batch of sequences.

    Time runs from 0 to T - 1, or with `reverse` from the end of each row to 0; y is in the order of x in both cases.
    """

    cell: Cell
    x: Tensor
    """(T, B, I)."""
    state: State
    """The initial state of each row, tensors (B, H)."""
    weights: Weights
    lengths: Tensor | None = None
    """int64 (B,), 0 to T; None if every row has T steps. Past its length a row is not read, and y is 0 there."""
    reverse: bool = False
    masks: Masks = NO_MASKS
    keep: bool = False
    """Whether to return the gates of every step."""
    recompute: int = 0
    """Steps between the states that are kept for the backward pass, which recomputes the steps between; 0 keeps
    everything."""
    restarts: Restarts | None = None
    """The steps at which rows start anew; None if every row is one sequence."""

    call_cache: dict[str, Any] | None = None
    """The signature of the cell's step, shared by the checks of one call, so that it is computed once per call."""

    @property
    def present(self) -> Tensor:
        """True where there is data, bool (T, B, 1)."""
        assert self.lengths is not None
        steps = self.lengths.new_tensor(range(self.x.shape[0])).to(self.x.device)  # (T,)
        return (steps[:, None] < self.lengths.to(self.x.device))[:, :, None]  # (T, B, 1)


class Result(NamedTuple):
    """What an engine returns."""

    y: Tensor
    """h of every step, (T, B, H), or (T, B, P) with a projection."""
    state: State
    """The state of each row at its end (at its beginning if the request is reversed)."""
    kept: Gates | None = None
    """With `Request.keep` the gates of every step, (T, B, H) each in the order of x, 0 past a row's length."""
