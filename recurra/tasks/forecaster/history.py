"""Series as the network reads them: transformed, with their level and scale at each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.data.series.collection import Collection, collect
from recurra.errors import InputError
from recurra.tasks.forecaster.scaling import Level, Smoothing, filled, scale_of
from recurra.tasks.forecaster.transform import apply

Values = npt.NDArray[np.float64]


class Origin(NamedTuple):
    """What is known of a series before its first stored value."""

    powers: tuple[float | None, ...]
    """λ of the transform, per channel."""
    levels: tuple[Level, ...]
    """The smoothed level before the first value, per channel."""
    entity: int
    """The number of the series in the training data, from 1; 0 for one that it does not have."""


@dataclass(frozen=True)
class History:
    """Series with what follows from them step by step.

    Args:
        series: the values as they are.
        origins: per series.
        values: (rows, C), transformed, NaN where missing.
        levels: (rows, C), after each step.
        deviations: (rows, C), the smoothed distance from the level after each step.
        counts: (rows, C), the number of values behind them.
        filled: (rows, C), the transformed values without gaps.
    """

    series: Collection
    origins: list[Origin]
    values: Values
    levels: Values
    deviations: Values
    counts: Values
    filled: Values

    @cached_property
    def scales(self) -> Values:
        """(rows, C), the scale after each step."""
        return scale_of(self.levels, self.deviations)

    @property
    def entities(self) -> npt.NDArray[np.int64]:
        """(N,), the numbers of the series in the training data."""
        return np.array([origin.entity for origin in self.origins], dtype=np.int64)

    def append(self, rows: npt.NDArray[np.int64], values: Values, smoothing: Smoothing) -> None:
        """Writes values (n, C) into rows, each of which follows a row that is complete."""
        level, deviation = smoothing.step_rows(
            self.levels[rows - 1], self.deviations[rows - 1], self.counts[rows - 1], values
        )
        self.levels[rows], self.deviations[rows], self.counts[rows] = level, deviation, self.counts[rows - 1] + 1
        self.scales[rows] = scale_of(level, deviation)
        self.values[rows] = self.filled[rows] = values

    def level_at(self, number: int, row: int, smoothing: Smoothing) -> tuple[Level, ...]:
        """Returns the smoothed level of a series before one of its rows."""
        rows = self.series.rows(number)
        values = self.values[rows.start : rows.start + row]
        return tuple(
            smoothing.run(values[:, channel], level)[2] for channel, level in enumerate(self.origins[number].levels)
        )


def make_history(series: Collection, origins: Sequence[Origin], smoothing: Smoothing, season: int) -> History:
    """Transforms and smooths series.

    Raises:
        InputError: a value cannot be transformed because it is not positive.
    """
    values, levels, deviations, counts, complete = (np.empty_like(series.values) for _ in range(5))
    for number, origin in enumerate(origins):
        rows = series.rows(number)
        for channel, power in enumerate(origin.powers):
            raw = series.values[rows, channel]
            _check_positive(series, number, raw, power)
            values[rows, channel] = transformed = apply(raw, power)
            level, deviation, _ = smoothing.run(transformed, origin.levels[channel])
            levels[rows, channel], deviations[rows, channel] = level, deviation
            counts[rows, channel] = origin.levels[channel].count + np.isfinite(transformed).cumsum()
            complete[rows, channel] = filled(transformed, level, season)
    return History(series, list(origins), values, levels, deviations, counts, complete)


def _check_positive(series: Collection, number: int, values: Values, power: float | None) -> None:
    if power is None or power == 1.0 or not (values <= 0).any():
        return
    at = int(np.flatnonzero(values <= 0)[0])
    raise InputError(
        f"series {series.ids[number]!r} has the value {values[at]:g} at position {at + 1}: the transform needs values "
        "above 0. Train with --transform none"
    )


def join(before: Collection, after: Collection) -> Collection:
    """Returns the series of `after`, each preceded by the series of the same name in `before`, if there is one.

    Times between the two are missing values.

    Raises:
        InputError: a series of `after` starts before that of `before` ends, or is on another grid.
    """
    numbers = {name: number for number, name in enumerate(before.ids)}
    parts = []
    for number, name in enumerate(after.ids):
        rows = after.rows(number)
        part = {
            "id": name,
            "first": int(after.first[number]),
            "values": after.values[rows],
            "past": after.past[rows],
            "known": after.known[rows],
        }
        if name in numbers:
            part = _preceded(before, numbers[name], part)
        parts.append(part)
    return replace(collect(after.frequency, after.channels, parts), notes=after.notes)


def _preceded(before: Collection, number: int, part: dict[str, object]) -> dict[str, object]:
    rows = before.rows(number)
    length, first = rows.stop - rows.start, int(before.first[number])
    positions, fits = before.frequency.positions(np.array([part["first"]], dtype=np.int64), first)
    gap = int(positions[0]) - length
    if not fits[0] or gap < 0:
        problem = "is not on the grid of the training data" if not fits[0] else "overlaps the training data"
        raise InputError(
            f"series {part['id']!r}: it {problem}, which ends at position {length} of its last values, while the file "
            f"starts at position {int(positions[0]) + 1}. Expected values after the training data"
        )
    joined: dict[str, object] = {"id": part["id"], "first": first}
    for name in ("values", "past", "known"):
        old, new = getattr(before, name)[rows], np.asarray(part[name])
        missing = np.full((gap, old.shape[1]), np.nan, dtype=old.dtype)
        joined[name] = np.concatenate([old, missing, new])
    return joined
