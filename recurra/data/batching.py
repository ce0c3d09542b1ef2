"""Sequences in batches of like length, and padded.

`TokenBatches` is for training: shuffled each epoch, with a place to return to. `by_length` is for everything else: each
sequence once, the longest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.errors import InputError

Ids = npt.NDArray[np.int64]
T = TypeVar("T")

# Sequences shuffled together before they are sorted by length, in batches.
_WINDOW = 50


class TokenBatches(Generic[T]):
    """Sequences in batches of about `tokens` tokens, one batch an update.

    Each epoch the sequences are shuffled, sorted by length within windows of 50 batches, cut into batches, and the
    batches shuffled. Every sequence comes once an epoch; one that is longer than `tokens` is a batch by itself. The
    order depends on the seed and the epoch alone.

    Args:
        lengths: (N,) integers, tokens of each sequence.
        make: turns the numbers of a batch's sequences, longest first, into the batch.
        tokens: how many a batch has at most, padding not counted.
        seed: decides the order.
        rank: of this process; of a round of `world_size` batches it takes one.
        world_size: how many processes train together.

    Raises:
        InputError: a number out of range, or fewer batches than processes.
    """

    def __init__(
        self,
        lengths: Ids,
        make: Callable[[Ids], T],
        *,
        tokens: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if tokens < 1:
            raise InputError(f"batch_tokens={tokens}: expected a whole number of 1 or more")
        self._lengths, self._make, self._tokens = np.asarray(lengths, dtype=np.int64), make, tokens
        self._settings = {"sequences": len(lengths), "tokens": tokens, "seed": seed, "world_size": world_size}
        self._rank, self._world_size, self._seed = rank, world_size, seed
        if not len(lengths):
            raise InputError("there is no sequence to learn from")
        self._start_epoch(0, position=0)

    def _start_epoch(self, epoch: int, *, position: int) -> None:
        self.epoch = epoch  # how many epochs are complete
        self._position = position
        batches = self._order(epoch)
        rounds = len(batches) // self._world_size
        if not rounds:
            raise InputError(f"{len(batches)} batches for {self._world_size} processes. Lower --batch-tokens")
        self._batches = batches[self._rank : rounds * self._world_size : self._world_size]

    def _order(self, epoch: int) -> list[Ids]:
        """The numbers of the sequences of each batch of an epoch."""
        generator = np.random.default_rng([self._seed, epoch])
        order = generator.permutation(len(self._lengths))
        # A sequence longer than a batch is one batch, however long.
        ends = np.minimum(self._lengths[order], self._tokens).cumsum()
        windows = np.flatnonzero(np.diff(ends // (_WINDOW * self._tokens))) + 1
        batches = [batch for window in np.split(order, windows) for batch in self._cut(window)]
        return [batches[place] for place in generator.permutation(len(batches))]

    def _cut(self, numbers: Ids) -> list[Ids]:
        """A window of sequences in batches, longest first."""
        numbers = numbers[np.argsort(-self._lengths[numbers], kind="stable")]
        cuts, held = [], 0
        for place, length in enumerate(self._lengths[numbers].tolist()):
            if held and held + length > self._tokens:
                cuts.append(place)
                held = 0
            held += length
        return np.split(numbers, cuts)

    def updates_per_epoch(self) -> int:
        """How many updates this epoch has; another epoch may have one or two more or less."""
        return len(self._batches)

    def update(self) -> list[T]:
        """The batch of the next update; after the last of an epoch the next epoch begins."""
        batch = self._make(self._batches[self._position])
        if self._position + 1 < len(self._batches):
            self._position += 1
        else:
            self._start_epoch(self.epoch + 1, position=0)
        return [batch]

    def state_dict(self) -> dict[str, Any]:
        """The place in the data and the settings it belongs to."""
        return {"epoch": self.epoch, "position": self._position, **self._settings}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where the batches that gave `state` were.

        Raises:
            InputError: the batches have other settings than those that gave `state`.
        """
        for name, value in self._settings.items():
            if state.get(name) != value:
                raise InputError(f"cannot continue: the data had {name}={state.get(name)}, now {name}={value}.")
        self._start_epoch(int(state["epoch"]), position=int(state["position"]))


def by_length(lengths: Sequence[int] | Ids, *, tokens: int, rows: int = 1) -> Iterator[list[int]]:
    """The numbers of sequences in batches of like length, the longest first.

    Args:
        lengths: steps of each; sequences without steps come in no batch.
        tokens: of a batch at most, padding included; a longer sequence is a batch by itself.
        rows: how many rows of a batch a sequence takes, such as the hypotheses of a beam.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] > 0].tolist()
    start = 0
    while start < len(order):
        count = max(1, tokens // (int(sizes[order[start]]) * rows))
        yield order[start : start + count]
        start += count


def token_chunks(items: Iterable[T], tokens: int, *, length: Callable[[T], int]) -> Iterator[list[T]]:
    """Divides a stream into lists: enough items at once to batch them by length, few enough to hold in memory.

    Args:
        items: the stream, read as the lists are needed.
        tokens: each list ends as soon as it has as many; with 0 each item is a list by itself.
        length: returns the tokens of an item; an empty one counts as one token, so that a stream of them is divided.
    """
    iterator = iter(items)
    while held := list(islice(iterator, 1)):
        count = max(1, length(held[0]))
        while count < tokens and (more := list(islice(iterator, 1))):
            held += more
            count += max(1, length(more[0]))
        yield held


def pad(rows: Sequence[npt.NDArray[Any]], value: float = 0, *, length: int | None = None) -> Tensor:
    """Rows (T_b, *width) as one tensor (T, B, *width), time first, `value` past each row's end.

    Args:
        rows: one or more, of one number type.
        value: the padding.
        length: T; the longest row's where None.
    """
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    T = int(lengths.max(initial=0)) if length is None else length
    first = np.asarray(rows[0])
    padded = np.full((T, len(rows), *first.shape[1:]), value, dtype=first.dtype)
    for place, row in enumerate(rows):
        padded[: len(row), place] = row
    return torch.from_numpy(padded)


def mask(lengths: Tensor, steps: int | None = None) -> Tensor:
    """Bool (T, B), True where there is data, of int64 lengths (B,)."""
    T = int(lengths.max()) if steps is None else steps
    return torch.arange(T, device=lengths.device)[:, None] < lengths
