"""Series as the network reads them: transformed, with their level and scale at each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

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
            counts[rows, channel] = origin.levels[channel].values + np.isfinite(transformed).cumsum()
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


def join(before: Collection, after: Collection, *, replacing: bool = False) -> Collection:
    """Returns the series of `after`, each preceded by the series of the same name in `before`, if there is one.

    Times between the two are missing values.

    Args:
        before: earlier series.
        after: later series.
        replacing: whether a series of `after` that starts before that of `before` ends replaces it.

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
        gap = steps_between(before, numbers[name], int(after.first[number])) if name in numbers else -1
        if gap >= 0:
            part = _preceded(before, numbers[name], part, gap)
        elif name in numbers and not replacing:
            raise InputError(_overlap(before, numbers[name], gap))
        parts.append(part)
    return replace(collect(after.frequency, after.channels, parts), notes=after.notes)


def steps_between(before: Collection, number: int, first: int) -> int:
    """Returns the number of steps between the end of a series and a time, below 0 if the series contains it.

    Raises:
        InputError: the time is not on the grid of the series.
    """
    positions, fits = before.frequency.positions(np.array([first], dtype=np.int64), int(before.first[number]))
    if not fits[0]:
        raise InputError(
            f"series {before.ids[number]!r}: its times are not on the grid of the training data, whose frequency is "
            f"{before.frequency.name}"
        )
    return int(positions[0] - before.lengths[number])


def _overlap(before: Collection, number: int, gap: int) -> str:
    return (
        f"series {before.ids[number]!r}: its first {-gap:,} steps are in the training data, or before it: scores would "
        "be of values that the model has learned. Remove them, or train with --test-steps"
    )


def _preceded(before: Collection, number: int, part: dict[str, Any], gap: int) -> dict[str, Any]:
    """Returns a series after an earlier one and missing values."""
    rows = before.rows(number)
    joined: dict[str, Any] = {"id": part["id"], "first": int(before.first[number])}
    for name in ("values", "past", "known"):
        old, new = getattr(before, name)[rows], part[name]
        missing = np.full((gap, old.shape[1]), np.nan, dtype=old.dtype)
        joined[name] = np.concatenate([old, missing, new])
    return joined
