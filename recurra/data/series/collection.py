"""Many series on one grid, in arrays, and how they are read from long and wide tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.data.series.frequency import Frequency, Times

Values = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Collection:
    """N series of C channels on grids of one frequency.

    Args:
        frequency: of all series.
        ids: their names, distinct.
        channels: the names of the C channels.
        first: (N,) int64, the time of the first value of each.
        starts: (N + 1,) int64; series i is the rows from starts[i] to starts[i + 1].
        values: (rows, C), NaN where missing.
        past: (rows, P), covariates that are known up to the present; NaN where missing.
        known: (rows, K), covariates that are known for the future too; NaN where missing. Rows at the end of a series
            may have these and no values.
    """

    frequency: Frequency
    ids: list[str]
    channels: list[str]
    first: Times
    starts: npt.NDArray[np.int64]
    values: Values
    past: Numbers
    known: Numbers
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(N,), rows of each series."""
        return np.diff(self.starts)

    @property
    def ends(self) -> npt.NDArray[np.int64]:
        """(N,), rows of each series up to its last value; rows after them have known covariates only."""
        present = np.asarray(np.isfinite(self.values).any(axis=1))
        rows = np.arange(len(present))
        last = np.where(present, rows, -1)
        pieces = [last[start:stop].max(initial=start - 1) for start, stop in self._bounds()]
        return np.array(pieces, dtype=np.int64) + 1 - self.starts[:-1]

    def _bounds(self) -> list[tuple[int, int]]:
        return list(zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True))

    def rows(self, number: int) -> slice:
        """Returns the rows of a series."""
        return slice(int(self.starts[number]), int(self.starts[number + 1]))

    def times(self, number: int, positions: npt.NDArray[np.int64]) -> Times:
        """Returns the times at positions of a series."""
        return self.frequency.times(positions, int(self.first[number]))

    def select(self, numbers: Sequence[int]) -> Collection:
        """Returns some of the series, in this order."""
        return assemble(self, [(number, self.rows(number)) for number in numbers])

    def head(self, lengths: npt.NDArray[np.int64]) -> Collection:
        """Returns the first rows of each series."""
        ends = self.starts[:-1] + np.minimum(lengths, self.lengths)
        return assemble(self, [(i, slice(int(self.starts[i]), int(ends[i]))) for i in range(len(self))])

    def tail(self, length: int) -> Collection:
        """Returns the last rows of each series."""
        begins = np.maximum(self.starts[:-1], self.starts[1:] - length)
        return assemble(self, [(i, slice(int(begins[i]), int(self.starts[i + 1]))) for i in range(len(self))])


def assemble(source: Collection, parts: Sequence[tuple[int, slice]]) -> Collection:
    """Returns a collection of parts of series, each the number of a series and a slice of its rows."""
    rows = [np.arange(part.start, part.stop) for _, part in parts]
    index = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
    first = [source.times(i, np.array([part.start - source.starts[i]]))[0] for i, part in parts]
    return replace(
        source,
        ids=[source.ids[i] for i, _ in parts],
        first=np.array(first, dtype=np.int64),
        starts=np.concatenate([[0], np.cumsum([len(part) for part in rows])]).astype(np.int64),
        values=source.values[index],
        past=source.past[index],
        known=source.known[index],
    )


def collect(frequency: Frequency, channels: list[str], parts: Sequence[dict[str, Any]]) -> Collection:
    """Returns a collection of series, each with `id`, `first`, `values` (T, C), `past` (T, P) and `known` (T, K)."""
    lengths = [len(part["values"]) for part in parts]
    return Collection(
        frequency=frequency,
        ids=[part["id"] for part in parts],
        channels=channels,
        first=np.array([part["first"] for part in parts], dtype=np.int64),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        values=np.concatenate([part["values"] for part in parts]),
        past=np.concatenate([part["past"] for part in parts]),
        known=np.concatenate([part["known"] for part in parts]),
    )
