"""The steps of each row of a batch, chunks of time, and the division of work between threads."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.engine.cpu.kernel import ActiveRows, Kernel, Sharing
from recurra.engine.pieces import Pieces
from recurra.engine.request import Request

# Steps times rows of a chunk: enough that torch's products run at their full rate, few enough for the last-level cache.
_ROWS_PER_CHUNK = 2048


class Chunk(NamedTuple):
    """A chunk of time: the steps start … stop - 1, and its places in packed arrays and state arrays."""

    start: int
    stop: int
    first: int
    """Its rows in packed arrays are first … last - 1."""
    last: int
    low: int
    """Its rows in state arrays are low … high - 1: low … low_end - 1 before step `start`, high_start … high - 1 after
    the last step."""
    low_end: int
    high_start: int
    high: int


@dataclass(frozen=True)
class Sequences:
    """The steps of each row, and the direction of time.

    A row is a row of the batch or, if rows start anew, a piece of one.
    """

    T: int
    """Steps of the longest row."""
    B: int
    """Rows."""
    shape: tuple[int, int]
    """Steps and rows of the arrays of the request."""
    direction: int
    """+1, or -1 from the end of each row to its beginning."""
    rows: ActiveRows
    lengths: Tensor | None = None
    """int64 (B,)."""
    places: Tensor | None = None
    """int64 (N,), t · B + row, in the arrays of the request, of each packed row; None if every row has every step."""
    below: Tensor | None = None
    """int64 (N,), the row in a state array of the state before (in reverse: after) each packed row's step."""
    even: bool = True
    """Whether all chunks have equally many steps, rather than about equally many packed rows."""

    @classmethod
    def of(cls, request: Request, pieces: Pieces | None = None) -> Sequences:
        """The sequences of a request, or of its pieces."""
        T, B = request.x.shape[:2]
        direction = -1 if request.reverse else 1
        if pieces is not None:
            numbers, steps = torch.arange(len(pieces.row), device="cpu"), len(pieces.active)
            rows = ActiveRows(numbers, numbers, pieces.active, pieces.offsets, _levels(numbers, pieces.offsets))
            below = _below(rows)
            places = pieces.places()
            return cls(steps, len(numbers), (T, B), direction, rows, pieces.length, places, below, even=False)
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
        numbers = torch.arange(B, device="cpu")
        rows = ActiveRows(order, numbers, active, offsets, _levels(numbers, offsets))
        return cls(T, B, (T, B), direction, rows, lengths, places, _below(rows))

    def chunks(self, recompute: int) -> list[Chunk]:
        """The chunks from the first step to the last."""
        if recompute or self.even:
            steps = recompute or max(1, _ROWS_PER_CHUNK // self.B)
            borders = [*range(0, self.T, steps), self.T]
        else:
            # The longest piece may have many more steps than most others, and its last chunks would have few rows.
            whole = torch.arange(0, int(self.rows.offsets[-1]), _ROWS_PER_CHUNK, device="cpu")
            steps_at = torch.searchsorted(self.rows.offsets, whole, right=True) - 1
            borders = [*steps_at.unique().tolist(), self.T]
        offsets = self.rows.offsets[borders].tolist()
        levels = self.rows.levels[borders].tolist()
        ends = self.rows.levels[[border + 1 for border in borders]].tolist()
        edges = list(zip(borders, offsets, levels, ends, strict=True))
        return [
            Chunk(start, stop, first, last, low, low_end, high_start, high)
            for (start, first, low, low_end), (stop, last, high_start, high) in pairwise(edges)
        ]

    @property
    def whole(self) -> Chunk:
        """All steps as one chunk."""
        (chunk,) = self.chunks(self.T)
        return chunk

    def in_time(self, chunks: list[Chunk]) -> list[Chunk]:
        """The chunks in the order in which this direction runs through them."""
        return chunks if self.direction > 0 else chunks[::-1]

    @property
    def is_ragged(self) -> bool:
        """Whether rows differ in their steps, or are pieces of rows."""
        return self.places is not None

    @property
    def state_rows(self) -> int:
        """Rows of a state array."""
        return int(self.rows.levels[-1])

    def gather(self, tensor: Tensor, chunk: Chunk) -> Tensor:
        """The packed rows (n, size) of a chunk of a tensor (T, B, size)."""
        T, B = self.shape
        if self.places is None:
            return tensor[chunk.start : chunk.stop].reshape(chunk.last - chunk.first, -1)
        return tensor.reshape(T * B, -1).index_select(0, self.places[chunk.first : chunk.last])

    def scatter(self, packed: Tensor) -> Tensor:
        """A tensor (T, B, size) of all packed rows (N, size), 0 past a row's length."""
        T, B = self.shape
        if self.places is None:
            return packed.view(T, B, -1)
        make = packed.new_empty if len(packed) == T * B else packed.new_zeros
        return make(T * B, packed.shape[-1]).index_copy_(0, self.places, packed).view(T, B, -1)

    def before(self, states: Tensor, chunk: Chunk) -> Tensor:
        """The state (n, size) before each packed row of a chunk (in reverse after it), of its part of a state array."""
        if self.direction < 0:
            return states[chunk.low_end - chunk.low :]
        if self.below is None:
            return states[: chunk.high_start - chunk.low]
        return states.index_select(0, self.below[chunk.first : chunk.last] - chunk.low)

    def entered(self, states: Tensor, chunk: Chunk) -> Tensor:
        """The states with which a chunk begins, in its part of a state array: those that the chunk before it left."""
        rows = self.entered_rows(chunk)
        return states[:rows] if self.direction > 0 else states[len(states) - rows :]

    def entered_rows(self, chunk: Chunk) -> int:
        """The number of states with which a chunk begins."""
        return chunk.low_end - chunk.low if self.direction > 0 else chunk.high - chunk.high_start

    def left(self, states: Tensor, chunk: Chunk) -> Tensor:
        """The states with which a chunk ends."""
        if self.direction > 0:
            return states[chunk.high_start - chunk.low :]
        return states[: chunk.low_end - chunk.low]

    def emitted(self, states: Tensor) -> Tensor:
        """The states (N, size) that the steps have computed, of a whole state array."""
        if self.direction > 0:
            return states[self.B :]
        return states[: -self.B] if self.below is None else states.index_select(0, self.below)

    def ending(self, chunk: Chunk) -> tuple[Tensor, Tensor]:
        """The rows that end in a chunk (in reverse: begin in it), and their places in its part of a state array."""
        assert self.lengths is not None
        rows = ((self.lengths > chunk.start) & (self.lengths <= chunk.stop)).nonzero().squeeze(1)
        number = torch.empty_like(self.rows.order)
        number[self.rows.order] = self.rows.numbers
        return rows, self.rows.levels[self.lengths[rows]] + number[rows] - chunk.low

    def begin(self, states: Tensor, initial: Tensor, chunk: Chunk) -> None:
        """Writes the initial state (B, size) of the rows that begin in a chunk, in its part of a state array."""
        if self.direction > 0:
            if chunk.start == 0:
                states[: self.B] = initial if self.lengths is None else initial.index_select(0, self.rows.order)
        elif self.lengths is None:
            if chunk.stop == self.T:
                states[-self.B :] = initial
        else:
            # In reverse a row begins at its last step.
            rows, places = self.ending(chunk)
            states[places] = initial[rows]


def _levels(numbers: Tensor, offsets: Tensor) -> Tensor:
    """Where the states before step 0 and after each step begin in a state array, and where it ends: (T + 2,)."""
    return torch.cat([offsets.new_zeros(1), offsets + len(numbers)])


def _below(rows: ActiveRows) -> Tensor:
    places = torch.arange(int(rows.offsets[-1]), device="cpu")
    return places + (rows.levels[:-2] - rows.offsets[:-1]).repeat_interleave(rows.active)


@functools.lru_cache(maxsize=64)
def _full_length(T: int, B: int, direction: int) -> Sequences:
    """Sequences where every row has every step."""
    numbers = torch.arange(B, device="cpu")
    offsets = torch.arange(T + 1, device="cpu") * B
    rows = ActiveRows(numbers, numbers, torch.full((T,), B, device="cpu"), offsets, _levels(numbers, offsets))
    return Sequences(T, B, (T, B), direction, rows)


def sharing(loops: Kernel, rows: int) -> Sharing:
    """The division of the work between threads, from a fixed table.

    A tile of one or two rows leaves most of a core idle, so that few rows are not divided further: measured on two
    cores, sharing units is faster for 1 to 4 rows (by 1.2 to 1.8), sharing rows for 8 and more.
    """
    threads = torch.get_num_threads()
    if rows < 4 * threads and not loops.has_sums:
        return Sharing(threads, by_units=True)
    return Sharing(min(threads, rows), by_units=False)
