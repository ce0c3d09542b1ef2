"""Parallel streams of a text, read in windows for truncated backpropagation through time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.data.windows import Piece, StreamPlan
from recurra.errors import InputError


@dataclass(frozen=True)
class Window:
    """A window of B parallel streams, time first.

    Args:
        inputs: (T, B) int64.
        targets: (T, B) int64, the next token of each stream.
        counted: the losses of the last `counted` steps are counted; earlier steps only extend the gradient's reach.
        carry: the state after the first `carry` steps (1 ≤ carry ≤ T) is the initial state of the next window, unless
            that one is fresh.
        fresh: the window is at the start of the streams: the carried state must be dropped.
    """

    inputs: Tensor
    targets: Tensor
    counted: int
    carry: int
    fresh: bool

    @property
    def count(self) -> int:
        """Number of counted losses: `counted` steps of B streams."""
        return self.counted * self.inputs.shape[1]


class Streams:
    """A text as S = batch_size · world_size parallel streams, read in windows for truncated backpropagation.

    Stream s is the s-th of S equal segments of the text, of L = (N - 1) // S steps; a step is a token with the next
    token as its target. Each window continues the streams where the previous one ended, so that the state can be
    carried, and every target of every stream is counted once per epoch. At most S - 1 of the N - 1 targets are left
    out: some before the first stream and the rest after the last, divided differently in each epoch.

    An update takes `update_every` (k1) steps; a gradient goes back `reach_back` (k2) steps:

    - k2 = k1: one window per update, all its losses are counted (Williams and Peng 1990, BPTT(h; h')).
    - k2 > k1: windows of k2 steps, fewer at the start of an epoch, that overlap by k2 - k1; the last k1 losses are
      counted, and each reaches back between k2 - k1 + 1 and k2 steps.
    - k2 < k1: an update has several disjoint windows of at most k2 steps; their gradients are summed.

    The first and the last update of an epoch are shorter than k1, by amounts that depend on `seed` and the epoch only,
    so that the borders of windows move from epoch to epoch; the number of updates is constant.

    Args:
        tokens: (N,) integers, possibly memory-mapped: a window reads only its own pages.
        batch_size: number of streams per rank.
        update_every: steps between updates; None for the whole stream: full backpropagation.
        reach_back: steps that a gradient goes back; None for `update_every`.
        seed: determines where each epoch's windows end.
        rank: the rank of this process, which reads columns from rank · batch_size on.
        world_size: number of ranks.

    Raises:
        InputError: a number is out of range, or there are too few tokens for one window per stream.
    """

    def __init__(
        self,
        tokens: npt.NDArray[Any],
        *,
        batch_size: int,
        update_every: int | None,
        reach_back: int | None = None,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        _check(batch_size=batch_size, update_every=update_every, reach_back=reach_back, world_size=world_size)
        if not 0 <= rank < world_size:
            raise InputError(f"rank={rank}, expected 0 or more and less than world_size={world_size}.")
        self._tokens = np.asarray(tokens)
        self._columns = range(rank * batch_size, (rank + 1) * batch_size)
        streams = batch_size * world_size
        length = _stream_length(len(tokens), streams, update_every)
        self._plan = StreamPlan(length, update_every or length, reach_back or update_every or length, seed)
        self._spare = len(tokens) - 1 - streams * length
        self._settings = {
            "tokens": len(tokens),
            "streams": streams,
            "update_every": update_every,
            "reach_back": reach_back,
            "seed": seed,
        }
        self._start_epoch(0, position=0)

    def updates_per_epoch(self) -> int:
        """Number of updates per epoch, the same for every epoch."""
        return self._plan.updates

    def update(self) -> list[Window]:
        """Returns the windows of the next update, in order; after the last update of an epoch the next epoch begins."""
        windows = [self._window(piece) for piece in self._plan.pieces(self.epoch, self._position)]
        if self._position + 1 < self._plan.updates:
            self._position += 1
        else:
            self._start_epoch(self.epoch + 1, position=0)
        return windows

    def state_dict(self) -> dict[str, Any]:
        """Returns the position in the data and the settings, as plain numbers, the same on every rank."""
        return {"epoch": self.epoch, "position": self._position, **self._settings}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the position returned by `state_dict`.

        Raises:
            InputError: the state belongs to streams with other settings.
        """
        for name, value in self._settings.items():
            if state.get(name) != value:
                raise InputError(f"cannot continue: the data had {name}={state.get(name)}, now {name}={value}.")
        epoch, position = state.get("epoch"), state.get("position")
        if not isinstance(epoch, int) or not isinstance(position, int) or not 0 <= position < self._plan.updates:
            raise InputError(f"cannot continue: the data has no position epoch={epoch}, position={position}.")
        self._start_epoch(epoch, position=position)

    def _start_epoch(self, epoch: int, *, position: int) -> None:
        self.epoch = epoch  # number of completed epochs
        self._position = position
        begin = self._plan.draw(epoch, "start") % (self._spare + 1)
        self._starts = [begin + column * self._plan.length for column in self._columns]

    def _window(self, piece: Piece) -> Window:
        first, last = piece.start, piece.end + 1
        block = np.stack([self._tokens[start + first : start + last] for start in self._starts], axis=1)
        tokens = torch.from_numpy(block.astype(np.int64))  # (T + 1, B)
        return Window(tokens[:-1], tokens[1:], piece.counted, piece.carry, fresh=piece.start == 0)


def _check(*, batch_size: int, update_every: int | None, reach_back: int | None, world_size: int) -> None:
    counts = {
        "batch_size": batch_size,
        "update_every": update_every,
        "reach_back": reach_back,
        "world_size": world_size,
    }
    for name, value in counts.items():
        if value is not None and value < 1:
            raise InputError(f"{name}={value}, expected 1 or more.")


def _stream_length(tokens: int, streams: int, update_every: int | None) -> int:
    """Number of steps of each stream; at least one window."""
    length = (tokens - 1) // streams
    steps = update_every or 1
    if length < steps:
        raise InputError(
            f"the text has {tokens} tokens, but one window of {steps} steps for each of {streams} streams needs "
            f"{streams * steps + 1}. Lower --batch-size or --update-every, or use more text."
        )
    return length
