"""From tables to a collection of series: sorted, checked for duplicates, and put on their grid."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.data.series.collection import Collection, Numbers, Values
from recurra.data.series.frequency import DAY, Frequency, Times, find_frequency, parse_frequency
from recurra.data.series.layout import Layout
from recurra.data.series.tables import Table
from recurra.errors import InputError

Ids = npt.NDArray[np.int64]
# A frequency much finer than the data would fill the memory with missing values.
_LARGEST_GRID = 100


class _Rows(NamedTuple):
    """The rows of all tables, one per series and time."""

    ids: list[str]
    series: Ids
    """(n,), the number of the series."""
    times: Times
    values: Values
    """(n, C)."""
    past: Numbers
    known: Numbers
    origin: Ids
    """(n,), the row in the tables after each other."""


def read_series(tables: Sequence[Table], layout: Layout, frequency: Frequency | str | None = None) -> Collection:
    """Reads series from tables.

    Args:
        tables: with the columns of the layout.
        layout: its covariates are fitted.
        frequency: the grid, or its name; None to find it.

    Raises:
        InputError: a value that is not a number, a time that occurs twice or is not on the grid, a static covariate
            that changes, with file and line.
    """
    rows, timed = _rows(tables, layout)
    order = np.lexsort((rows.times, rows.series))
    notes = []
    if not np.array_equal(order, np.arange(len(order))) and _unsorted(rows):
        notes.append("the rows are not in the order of time within each series: they were sorted")
    rows = rows._replace(**{name: getattr(rows, name)[order] for name in rows._fields if name != "ids"})
    breaks = np.flatnonzero(np.diff(rows.series, prepend=-1))
    _check_distinct(rows, tables, timed)
    grid = _frequency(rows, breaks, tables, frequency, timed)
    collection = _on_grid(rows, breaks, grid, tables, layout)
    empty = [name for name, end in zip(collection.ids, collection.ends, strict=True) if end == 0]
    if len(empty) == len(collection):
        raise InputError(f"{tables[0].name}: no series has a value in {', '.join(layout.targets)}")
    if empty:
        notes.append(f"{len(empty)} series without any value left out: {', '.join(empty[:5])}")
        collection = collection.select([i for i, end in enumerate(collection.ends) if end])
    collection.notes.extend(notes)
    return collection


def _unsorted(rows: _Rows) -> bool:
    """Whether the times of a series descend anywhere; series may be interleaved."""
    order = np.argsort(rows.series, kind="stable")
    series, times = rows.series[order], rows.times[order]
    return bool(((np.diff(times) < 0) & (np.diff(series) == 0)).any())


def _rows(tables: Sequence[Table], layout: Layout) -> tuple[_Rows, bool]:
    """Reads all tables; in a wide one each target becomes rows of its own, unless they are forecast together."""
    numbers: dict[str, int] = {}
    parts, kinds, before = [], set[bool](), 0
    for table in tables:
        layout.check(table)
        times, timed = table.times(layout.time)
        kinds.add(timed)
        parts += list(_parts(table, layout, times, numbers, before))
        before += len(times)
    if len(kinds) > 1:
        raise InputError(f"{tables[-1].name}: times are timestamps in one file and integers in another")
    joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    return _Rows(list(numbers), *joined), kinds.pop()


def _parts(
    table: Table, layout: Layout, times: Times, numbers: dict[str, int], before: int
) -> list[tuple[npt.NDArray[np.generic], ...]]:
    count = len(times)
    past, known = (_covariates(table, layout, roles) for roles in (("past",), ("known", "static")))
    origin = np.arange(before, before + count)
    columns = [table.numbers(target) for target in layout.targets]
    if layout.id is not None:
        names = table.texts(layout.id)
        series = np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)
        if len(layout.targets) > 1 and not layout.together:
            raise InputError(f"{table.name}: several targets in a long table are forecast together: set --together")
        return [(series, times, np.stack(columns, axis=1), past, known, origin)]
    if layout.together:
        number = numbers.setdefault("all", 0)
        return [(np.full(count, number), times, np.stack(columns, axis=1), past, known, origin)]
    return [
        (np.full(count, numbers.setdefault(name, len(numbers))), times, values[:, None], past, known, origin)
        for name, values in zip(layout.targets, columns, strict=True)
    ]


def _covariates(table: Table, layout: Layout, roles: Sequence[str]) -> Numbers:
    columns = [covariate.encode(table) for covariate in layout.of(*roles)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(table.frame), 0), dtype=np.float32)


def _place(tables: Sequence[Table], row: int) -> str:
    """The file and line of a row counted over all tables."""
    for table in tables:
        if row < len(table.frame):
            return table.place(row)
        row -= len(table.frame)
    raise AssertionError("a row outside of all tables")


def _shown(time: int, timed: bool) -> str:
    if not timed:
        return str(time)
    text = str(np.datetime64(time, "us")).removesuffix(".000000").replace("T", " ")
    return text.removesuffix(" 00:00:00")


def _check_distinct(rows: _Rows, tables: Sequence[Table], timed: bool) -> None:
    twice = np.flatnonzero((np.diff(rows.times) == 0) & (np.diff(rows.series) == 0))
    if not len(twice):
        return
    # The pair whose second row comes first in the file.
    at = min(twice.tolist(), key=lambda row: max(rows.origin[row], rows.origin[row + 1]))
    lines = sorted((int(rows.origin[at]), int(rows.origin[at + 1])))
    time = int(rows.times[at])
    message = (
        f"{_place(tables, lines[1])}: series {rows.ids[rows.series[at]]!r} has {_shown(time, timed)} twice, "
        f"first at {_place(tables, lines[0])}. Remove one"
    )
    if timed and time % DAY and len(twice) <= 2 * len(rows.ids):
        message += ". Where daylight-saving time ends, local times repeat: write them with an offset, such as +01:00"
    raise InputError(message)


def _frequency(
    rows: _Rows, breaks: Ids, tables: Sequence[Table], frequency: Frequency | str | None, timed: bool
) -> Frequency:
    name = tables[0].name
    if isinstance(frequency, str):
        return parse_frequency(frequency, timed=timed).anchored(rows.times)
    if frequency is not None:
        if frequency.timed != timed:
            kinds = ("timestamps", "integers") if timed else ("integers", "timestamps")
            raise InputError(f"{name}: times are {kinds[0]}, but the model was trained on {kinds[1]}")
        return frequency
    grid = find_frequency(rows.times, breaks, timed=timed)
    if grid is not None:
        return grid
    steps, same = np.diff(rows.times), np.diff(rows.series) == 0
    if not same.any():
        raise InputError(f"{name}: every series has one value only, so that the frequency is unknown. Set --freq")
    sizes, counts = np.unique(steps[same], return_counts=True)
    usual = int(sizes[counts.argmax()])
    at = int(np.flatnonzero(same & (steps % usual != 0))[0]) if (same & (steps % usual != 0)).any() else 0
    raise InputError(
        f"{_place(tables, int(rows.origin[at + 1]))}: {_shown(int(rows.times[at + 1]), timed)} comes "
        f"{_length(int(steps[at]), timed)} after the time before it, but most times are {_length(usual, timed)} apart: "
        "the times are on no regular grid. Resample them, or set --freq"
    )


def _length(step: int, timed: bool) -> str:
    return Frequency("fixed", step).name if timed and step % 1_000_000 == 0 else str(step)


def _on_grid(rows: _Rows, breaks: Ids, grid: Frequency, tables: Sequence[Table], layout: Layout) -> Collection:
    """Puts rows that are sorted by series and time on a grid; positions without a row are missing."""
    first = rows.times[breaks]
    places = _places(rows, breaks, grid, tables)
    lengths = [int(positions[-1]) + 1 for positions in places]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    if starts[-1] > _LARGEST_GRID * (len(rows.times) + 100):
        share = len(rows.times) / starts[-1]
        raise InputError(
            f"{tables[0].name}: frequency {grid.name}: only {share:.2%} of the times have a row. Set --freq"
        )
    index = np.concatenate([start + positions for start, positions in zip(starts, places, strict=False)])
    names = [rows.ids[number] for number in rows.series[breaks]]
    known = _scatter(rows.known, index, int(starts[-1]))
    _fill_static(known, starts, names, layout, tables)
    return Collection(
        frequency=grid,
        ids=names,
        channels=list(layout.targets) if layout.together else ["y"],
        first=first,
        starts=starts,
        values=_scatter(rows.values, index, int(starts[-1])),
        past=_scatter(rows.past, index, int(starts[-1])),
        known=known,
    )


def _places(rows: _Rows, breaks: Ids, grid: Frequency, tables: Sequence[Table]) -> list[Ids]:
    """Returns the positions of the rows of each series on its grid."""
    places = []
    for start, stop in pairwise([*breaks.tolist(), len(rows.times)]):
        first = int(rows.times[start])
        positions, fits = grid.positions(rows.times[start:stop], first)
        if not fits.all():
            at = start + int(np.flatnonzero(~fits)[0])
            raise InputError(
                f"{_place(tables, int(rows.origin[at]))}: {_shown(int(rows.times[at]), grid.timed)} is not on the grid "
                f"of frequency {grid.name} that starts at {_shown(first, grid.timed)}. Correct it, or set --freq"
            )
        places.append(positions)
    return places


def _scatter(rows: npt.NDArray[Any], index: Ids, length: int) -> npt.NDArray[Any]:
    filled = np.full((length, rows.shape[1]), np.nan, dtype=rows.dtype)
    filled[index] = rows
    return filled


def _fill_static(
    known: npt.NDArray[np.floating], starts: Ids, names: Sequence[str], layout: Layout, tables: Sequence[Table]
) -> None:
    """Copies the static covariates of each series to all of its rows, after checking that they are constant."""
    for column, covariate in enumerate(layout.of("known", "static")):
        if covariate.role != "static":
            continue
        for name, start, stop in zip(names, starts[:-1], starts[1:], strict=True):
            values = known[start:stop, column]
            present = values[np.isfinite(values)]
            if len(present) and present.min() != present.max():
                raise InputError(
                    f"{tables[0].name}: the static covariate {covariate.name!r} changes within series {name!r}: "
                    "expected one value. Use --known or --past for what changes"
                )
            known[start:stop, column] = present[0] if len(present) else 0.0
