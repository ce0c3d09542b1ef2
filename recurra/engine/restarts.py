"""Steps at which rows of a batch start anew, in the order in which a request runs through time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.cells import State, where


@dataclass(frozen=True)
class Restarts:
    """The steps before which the state of a row is replaced, and by which state.

    A row is cut into pieces there. Past a row's length nothing restarts.
    """

    at: Tensor
    """bool (T, B), True where a row starts anew: forward at the first step of a piece, in reverse at its last."""
    initial: State
    """The state of a row that starts anew, tensors (B, size)."""
    resumed: Tensor | None = None
    """Only in reverse: bool (T, B), True where a row starts anew from `passed`."""
    passed: State | None = None
    """The state from which a row's first piece starts where no reset replaces it, tensors (B, size)."""

    @classmethod
    def of(
        cls, resets: Tensor, lengths: Tensor | None, state: State, initial: State, *, reverse: bool
    ) -> tuple[State, Restarts]:
        """The state in which a request begins, and its restarts.

        A row's first piece starts from `state`, the others from `initial`; so does the first one if there is a reset at
        step 0. In reverse the last piece comes first, and each piece starts at its end.

        Args:
            resets: bool (T, B), True at the first step of a piece.
            lengths: int64 (B,); resets past a row's length have no effect.
            state: tensors (B, size).
            initial: tensors (B, size).
            reverse: whether time runs from the end of each row to step 0.
        """
        T = len(resets)
        if lengths is not None:
            resets = resets & (torch.arange(T, device=resets.device)[:, None] < lengths.to(resets.device))
        if not reverse:
            return state, cls(resets, initial)
        at = torch.cat([resets[1:], torch.zeros_like(resets[:1])])  # the step before a piece is the last of another
        resumed = at & (resets.cumsum(0) == 0)
        begins = where(~resets.any(0)[:, None], state, initial)
        return begins, cls(at, initial, resumed, state)

    def window(self, start: int, stop: int) -> Restarts:
        """The restarts of the steps start … stop - 1."""
        resumed = None if self.resumed is None else self.resumed[start:stop]
        return Restarts(self.at[start:stop], self.initial, resumed, self.passed)

    def before(self, t: int, state: State) -> State:
        """The state before step t: that of a row that starts anew is replaced, and gets no gradient."""
        start = self.initial
        if self.resumed is not None and self.passed is not None:
            start = where(self.resumed[t][:, None], self.passed, start)
        return where(~self.at[t][:, None], state, start)

    @property
    def starts(self) -> tuple[State, ...]:
        """The states from which rows start anew."""
        return (self.initial,) if self.passed is None else (self.initial, self.passed)
