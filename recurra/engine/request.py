"""One direction of one layer to run through time: what every engine receives and returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from recurra.cells import Cell, State, Weights


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
