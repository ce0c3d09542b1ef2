"""What truncated backpropagation reads: parallel streams of a text, window by window."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.data.windows import Piece, Plan
from recurra.errors import InputError


@dataclass(frozen=True)
class Window:
    """One piece of B parallel texts, time first.

    Args:
        inputs: (T, B) int64.
        targets: (T, B) int64, the next token of each stream.
        counted: the losses of the last `counted` steps count; earlier steps only lend context to the gradient.
        carry: the state after the first `carry` steps (1 ≤ carry ≤ T) is where the next window starts, unless that
            one is fresh.
        fresh: the window starts where the streams start: a state carried so far must be dropped.
    """

    inputs: Tensor
    targets: Tensor
    counted: int
    carry: int
    fresh: bool

    @property
    def count(self) -> int:
        """How many losses count: `counted` steps of B streams."""
        return self.counted * self.inputs.shape[1]


class Streams:
    """A text as S = batch_size · world_size parallel streams, read in windows for truncated backpropagation.

    Stream s is the s-th of S equal stretches of the text, of L = (N - 1) // S steps: a step is a token and the next
    one as its target. Window after window each stream goes on where it stopped, so that the state carries, and every
    target of every stream is counted once an epoch. At most S - 1 of the N - 1 targets are left out: some before the
    first stream and the rest after the last, divided anew each epoch.

    An update takes `update_every` (k1) steps; a gradient goes back `reach_back` (k2) steps:

    - k2 = k1: a window a update, all its losses count (Williams and Peng 1990, BPTT(h; h')).
    - k2 > k1: windows of k2 steps, fewer at the start of an epoch, that overlap by k2 - k1; the newest k1 losses count,
      and each reaches back between k2 - k1 + 1 and k2 steps.
    - k2 < k1: an update is several windows of at most k2 steps, cut apart: the sum of their gradients.

    The first and the last update of an epoch are shorter than k1, by amounts drawn from `seed` and the epoch alone, so
    that the borders of windows move from epoch to epoch; how many updates there are does not change.

    Args:
        tokens: (N,) integers, a memory map perhaps: a window touches its own pages only.
        batch_size: streams a rank reads.
        update_every: steps between updates; None for the whole stream: full backpropagation.
        reach_back: steps that a gradient goes back; None for as many as `update_every`.
        seed: decides where each epoch's windows end.
        rank: which rank this is; it reads columns rank · batch_size onwards.
        world_size: how many ranks read together.

    Raises:
        InputError: a number out of range, or too few tokens for one window a stream.
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
        self._plan = Plan(length, update_every or length, reach_back or update_every or length, seed)
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
        """How many updates an epoch takes, the same for every epoch."""
        return self._plan.updates

    def update(self) -> list[Window]:
        """The windows of the next update, oldest first; after the last of an epoch the next epoch begins."""
        windows = [self._window(piece) for piece in self._plan.pieces(self.epoch, self._position)]
        if self._position + 1 < self._plan.updates:
            self._position += 1
        else:
            self._start_epoch(self.epoch + 1, position=0)
        return windows

    def state_dict(self) -> dict[str, Any]:
        """The place in the data and the settings it belongs to: plain numbers, fit for JSON, the same on every rank."""
        return {"epoch": self.epoch, "position": self._position, **self._settings}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where the streams that gave `state` were.

        Raises:
            InputError: the streams have other settings than those that gave `state`.
        """
        for name, value in self._settings.items():
            if state.get(name) != value:
                raise InputError(f"cannot continue: the data had {name}={state.get(name)}, now {name}={value}.")
        epoch, position = state.get("epoch"), state.get("position")
        if not isinstance(epoch, int) or not isinstance(position, int) or not 0 <= position < self._plan.updates:
            raise InputError(f"cannot continue: no place in the data is called epoch={epoch}, position={position}.")
        self._start_epoch(epoch, position=position)

    def _start_epoch(self, epoch: int, *, position: int) -> None:
        self.epoch = epoch  # how many epochs are complete
        self._position = position
        begin = self._plan.draw(epoch, "start") % (self._spare + 1)
        self._starts = [begin + column * self._plan.length for column in self._columns]

    def _window(self, piece: Piece) -> Window:
        first, last = piece.start, piece.end + 1
        block = np.stack([self._tokens[start + first : start + last] for start in self._starts], axis=1)
        tokens = torch.from_numpy(block.astype(np.int64))  # (T + 1, B)
        return Window(tokens[:-1], tokens[1:], piece.counted, piece.carry, fresh=piece.start == 0)


def _check(*, batch_size: int, update_every: int | None, reach_back: int | None, world_size: int) -> None:
    given = {"batch_size": batch_size, "update_every": update_every, "reach_back": reach_back, "world_size": world_size}
    for name, value in given.items():
        if value is not None and value < 1:
            raise InputError(f"{name}={value}, expected 1 or more.")


def _stream_length(tokens: int, streams: int, update_every: int | None) -> int:
    """How many steps each stream has; at least one window's."""
    length = (tokens - 1) // streams
    steps = update_every or 1
    if length < steps:
        raise InputError(
            f"the text has {tokens} tokens, but one window of {steps} steps for each of {streams} streams needs "
            f"{streams * steps + 1}. Lower --batch-size or --update-every, or give more text."
        )
    return length
