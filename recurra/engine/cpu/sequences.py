"""The steps of each row of a batch, chunks of time, and the division of work between threads."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.engine.cpu.kernel import ActiveRows, Kernel, Sharing
from recurra.engine.request import Request

# Steps times rows of a chunk: enough that torch's products run at their full rate, few enough for the last-level cache.
_ROWS_PER_CHUNK = 2048


class Chunk(NamedTuple):
    """A chunk of time: the steps start … stop - 1, and their rows first … last - 1 in packed arrays."""

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True)
class Sequences:
    """The steps of each row, and the direction of time."""

    T: int
    B: int
    direction: int
    """+1, or -1 from the end of each row to its beginning."""
    rows: ActiveRows
    lengths: Tensor | None
    """int64 (B,)."""
    places: Tensor | None
    """int64 (N,), t · B + row of each packed row; None if every row has every step."""

    @classmethod
    def of(cls, request: Request) -> Sequences:
        """The sequences of a request."""
        T, B = request.x.shape[:2]
        direction = -1 if request.reverse else 1
        if request.lengths is None or bool((request.lengths == T).all()):
            return _full_length(T, B, direction)
        # A copy: the backward pass reads it too, and the caller's tensor may have changed by then.
        lengths = request.lengths.to("cpu", torch.int64, copy=True)
        ordered, order = lengths.sort(descending=True, stable=True)
        has_step = torch.arange(T, device="cpu")[:, None] < ordered  # (T, B), rows as they are numbered
        # Row numbers descend in length, so that the rows with step t are the numbers 0 … active[t] - 1.
        active = has_step.sum(1)
        offsets = torch.cat([active.new_zeros(1), active.cumsum(0)])
        places = (torch.arange(T, device="cpu")[:, None] * B + order)[has_step]
        return cls(T, B, direction, ActiveRows(order, torch.arange(B, device="cpu"), active, offsets), lengths, places)

    def chunks(self, recompute: int) -> list[Chunk]:
        """The chunks from the first step to the last."""
        steps = recompute or max(1, _ROWS_PER_CHUNK // self.B)
        borders = [*range(0, self.T, steps), self.T]
        offsets = [t * self.B for t in borders] if self.places is None else self.rows.offsets[borders].tolist()
        return [Chunk(*edges) for edges in zip(borders, borders[1:], offsets, offsets[1:], strict=False)]

    def in_time(self, chunks: list[Chunk]) -> list[Chunk]:
        """The chunks in the order in which this direction runs through them."""
        return chunks if self.direction > 0 else chunks[::-1]

    def gather(self, tensor: Tensor, chunk: Chunk) -> Tensor:
        """The packed rows (n, size) of a chunk of a tensor (T, B, size)."""
        if self.places is None:
            return tensor[chunk.start : chunk.stop].reshape(chunk.last - chunk.first, -1)
        return tensor.reshape(self.T * self.B, -1).index_select(0, self.places[chunk.first : chunk.last])

    def ending(self, chunk: Chunk) -> Tensor:
        """The rows of the batch that end in a chunk (in reverse: begin in it), int64."""
        assert self.lengths is not None
        return ((self.lengths > chunk.start) & (self.lengths <= chunk.stop)).nonzero().squeeze(1)


@functools.lru_cache(maxsize=64)
def _full_length(T: int, B: int, direction: int) -> Sequences:
    """Sequences where every row has every step."""
    numbers = torch.arange(B, device="cpu")
    rows = ActiveRows(numbers, numbers, torch.full((T,), B, device="cpu"), torch.arange(T + 1, device="cpu") * B)
    return Sequences(T, B, direction, rows, None, None)


def sharing(loops: Kernel, rows: int) -> Sharing:
    """The division of the work between threads, from a fixed table.

    A tile of one or two rows leaves most of a core idle, so that few rows are not divided further: measured on two
    cores, sharing units is faster for 1 to 4 rows (by 1.2 to 1.8), sharing rows for 8 and more.
    """
    threads = torch.get_num_threads()
    if rows < 4 * threads and not loops.has_sums:
        return Sharing(threads, by_units=True)
    return Sharing(min(threads, rows), by_units=False)


def start_states(S: Tensor, initial: Tensor, start: int, stop: int, sequences: Sequences) -> None:
    """Writes the initial state where each row begins, in a state array of the steps start … stop."""
    if sequences.direction > 0:
        S[0] = initial
    elif sequences.lengths is None:
        S[-1] = initial
    else:
        # In reverse a row begins at its last step: entry `length` of the state array.
        lengths = sequences.lengths
        rows = ((lengths > start) & (lengths <= stop)).nonzero().squeeze(1)
        S[lengths[rows] - start, rows] = initial[rows]
