"""Regular grids of time: frequencies, their names, and positions on them.

A time is an int64: microseconds since 1970 for timestamps, the number itself for integers. A series has a first time
and a frequency, and its values stand at positions 0, 1, 2, … from there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.errors import InputError

Times = npt.NDArray[np.int64]

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
_FIXED = {"s": SECOND, "min": MINUTE, "h": HOUR, "D": DAY, "W": 7 * DAY}
_MONTHS = {"M": 1, "Q": 3, "Y": 12}
# Other spellings, of pandas among them.
_ALIASES = {"H": "h", "T": "min", "S": "s", "d": "D", "w": "W", "A": "Y", "MS": "M", "ME": "M", "QS": "Q", "QE": "Q"}
_ALIASES |= {"YS": "Y", "YE": "Y", "AS": "Y", "hour": "h", "day": "D", "week": "W", "month": "M", "year": "Y"}
_NAME = re.compile(r"(\d*)\s*([A-Za-z]*)")


@dataclass(frozen=True)
class Frequency:
    """The distance of the times of a series.

    Args:
        unit: "step" for integers, "fixed" for a time of constant length, "month", or "business" for Monday to Friday.
        size: the distance: an integer, microseconds, months, or 1 business day.
        day: the day of the month that months fall on; in a shorter month its last day; 31 for month ends. 0 for that of
            the first time.
    """

    unit: str
    size: int
    day: int = 0

    def anchored(self, times: Times) -> Frequency:
        """Returns the frequency with the day of the month of times."""
        if self.unit != "month" or not len(times):
            return self
        dates = _dates(times // DAY)
        last = _on_day(dates.astype("M8[M]"), LAST_DAY) == times // DAY
        days = (dates - dates.astype("M8[M]").astype("M8[D]")).astype(np.int64) + 1
        return replace(self, day=LAST_DAY if last.all() else int(days.max()))

    @property
    def name(self) -> str:
        """The name that `parse_frequency` reads."""
        if self.unit == "step":
            return str(self.size)
        if self.unit == "business":
            return "B"
        table = _MONTHS if self.unit == "month" else _FIXED
        unit, length = next((unit, length) for unit, length in reversed(table.items()) if not self.size % length)
        return f"{self.size // length if self.size != length else ''}{unit}"

    @property
    def timed(self) -> bool:
        """Whether times are timestamps; otherwise they are integers."""
        return self.unit != "step"

    def positions(self, times: Times, first: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Returns the position of each time, counted from `first`, and whether it is on the grid at all."""
        if self.unit in ("step", "fixed"):
            positions, rest = np.divmod(times - first, self.size)
            return positions, rest == 0
        positions = self._estimate(times, first)
        return positions, self.times(positions, first) == times

    def times(self, positions: npt.NDArray[np.int64], first: int) -> Times:
        """Returns the times at positions counted from `first`; positions may be negative."""
        if self.unit in ("step", "fixed"):
            return np.asarray(first + positions * self.size, dtype=np.int64)
        day, clock = divmod(first, DAY)
        if self.unit == "business":
            days = np.busday_offset(_dates(np.array([day]))[0], positions).astype(np.int64)
            return np.asarray(days * DAY + clock, dtype=np.int64)
        date = _dates(np.array([day]))
        month = date.astype("M8[M]")
        months = month + positions * self.size
        return np.asarray(_on_day(months, self.day or _day_of_month(date)[0]) * DAY + clock, dtype=np.int64)

    def _estimate(self, times: Times, first: int) -> npt.NDArray[np.int64]:
        """Returns the position of the day or month that each time falls on."""
        dates, origin = _dates(times // DAY), _dates(np.array([first // DAY]))
        if self.unit == "business":
            return np.asarray(np.busday_count(origin, dates), dtype=np.int64)
        months = dates.astype("M8[M]").astype(np.int64) - origin.astype("M8[M]").astype(np.int64)
        return np.asarray(months // self.size, dtype=np.int64)


LAST_DAY = 31


def _day_of_month(dates: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The day of the month of dates, from 1; the last day of a month counts as 31, so that month ends stay together."""
    months = dates.astype("M8[M]")
    days = (dates - months.astype("M8[D]")).astype(np.int64) + 1
    lengths = ((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(np.int64)
    return np.asarray(np.where(days == lengths, LAST_DAY, days), dtype=np.int64)


def _on_day(months: npt.NDArray[Any], day: int) -> npt.NDArray[np.int64]:
    """The days since 1970 of a day in months; of a shorter month its last day."""
    lengths = ((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(np.int64)
    return np.asarray(months.astype("M8[D]").astype(np.int64) + np.minimum(day, lengths) - 1, dtype=np.int64)


def _dates(days: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    return np.asarray(days, dtype=np.int64).astype("M8[D]")


def parse_frequency(name: str, *, timed: bool) -> Frequency:
    """Returns the frequency of a name: a number for integers; s, min, h, D, B, W, M, Q or Y, such as 15min.

    Raises:
        InputError: the name is unknown, or does not fit the kind of times.
    """
    match = _NAME.fullmatch(name.strip())
    expected = "a unit, such as 15min, h, D, B, W, M, Q or Y" if timed else "a whole number: the times are integers"
    if match is not None:
        size, unit = int(match[1] or 1), _ALIASES.get(match[2], match[2])
        if not timed and not unit and size > 0:
            return Frequency("step", size)
        if timed and size > 0 and unit in _FIXED:
            return Frequency("fixed", size * _FIXED[unit])
        if timed and size > 0 and unit in _MONTHS:
            return Frequency("month", size * _MONTHS[unit])
        if timed and unit == "B" and size == 1:
            return Frequency("business", 1)
    raise InputError(f"freq={name}: expected {expected}")


def find_frequency(times: Times, breaks: npt.NDArray[np.int64], *, timed: bool) -> Frequency | None:
    """Returns the frequency on which all series are, or None if there is none, or no two times to find it from.

    Args:
        times: (n,) of all series after each other, ascending and distinct within each series.
        breaks: the positions in `times` at which a series starts.
        timed: whether times are timestamps.
    """
    steps = np.diff(times)
    inside = np.ones(len(steps), dtype=bool)
    inside[breaks[breaks > 0] - 1] = False
    steps = steps[inside]
    if not len(steps):
        return None
    common = int(np.gcd.reduce(steps))
    if not timed:
        return Frequency("step", common) if _is_plausible(steps, common) else None
    for calendar in (_months(times, steps), _business(times, steps)):
        if calendar is not None:
            return calendar
    return Frequency("fixed", common) if _is_plausible(steps, common) else None


# The share of the positions on a grid that must have a value. Gaps make it lower; a grid that is too fine, because one
# time is off, makes it tiny.
_LEAST_FILLED = 0.2


def _is_plausible(steps: Times, common: int) -> bool:
    return bool(len(steps) / (steps.sum() / common) >= _LEAST_FILLED)


def _months(times: Times, steps: Times) -> Frequency | None:
    """The frequency of times on one day of the month, or on the last."""
    if steps.min() < 28 * DAY or len(np.unique(times % DAY)) > 1:
        return None
    dates = _dates(times // DAY)
    months = np.diff(dates.astype("M8[M]").astype(np.int64))
    common = int(np.gcd.reduce(months[months > 0])) if (months > 0).any() else 1
    frequency = Frequency("month", common).anchored(times)
    return frequency if bool((_on_day(dates.astype("M8[M]"), frequency.day) == times // DAY).all()) else None


def _business(times: Times, steps: Times) -> Frequency | None:
    """Monday to Friday, if no value is on a weekend and Fridays are followed by Mondays."""
    if steps.min() != DAY or len(np.unique(times % DAY)) > 1:
        return None
    weekdays = (times // DAY + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    weekends = (weekdays[:-1] == 4) & (np.diff(times) == 3 * DAY)
    return Frequency("business", 1) if weekdays.max() < 5 and weekends.any() else None
