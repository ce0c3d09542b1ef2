"""Calendar features of times: the place in the hour, day, week, month and year, as points on circles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from recurra.data.series.frequency import DAY, HOUR, Frequency, Times


def calendar_features(frequency: Frequency) -> list[str]:
    """Returns the names of the circles that a frequency moves on; none for integers."""
    if not frequency.timed:
        return []
    if frequency.unit == "month":
        return ["year day"] if frequency.size < 12 else []
    size = DAY if frequency.unit == "business" else frequency.size
    names = []
    if size < HOUR:
        names.append("minute")
    if size < DAY:
        names.append("hour")
    if size < 7 * DAY:
        names.append("weekday")
    if size <= 7 * DAY and size >= HOUR:
        names += ["month day", "year day"] if size == DAY else ["year day"]
    return names


def seen_features(frequency: Frequency, times: Times) -> tuple[str, ...]:
    """Returns the circles of a frequency that times from first to last go around at least twice.

    What a place on a circle means cannot be learned from one round: a network would take the events of one year for
    what every year brings.
    """
    span = int(times.max()) - int(times.min()) if len(times) else 0
    return tuple(name for name in calendar_features(frequency) if span >= 2 * _ROUNDS[name])


_ROUNDS = {"minute": HOUR, "hour": DAY, "weekday": 7 * DAY, "month day": 31 * DAY, "year day": 365 * DAY}


def calendar(times: Times, names: Sequence[str]) -> npt.NDArray[np.float32]:
    """Returns the sine and the cosine of the place on each circle, (…, 2 · circles) float32.

    Args:
        times: (…) int64.
        names: of the circles.
    """
    if not names:
        return np.zeros((*times.shape, 0), dtype=np.float32)
    angles = 2 * np.pi * np.stack([_share(times, name) for name in names], axis=-1)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1).astype(np.float32)


def _share(times: Times, name: str) -> npt.NDArray[np.float64]:
    """Returns the place on a circle, from 0 to 1."""
    if name == "minute":
        return (times % HOUR) / HOUR
    if name == "hour":
        return (times % DAY) / DAY
    if name == "weekday":
        return ((times // DAY + 3) % 7) / 7
    days = (times // DAY).astype("M8[D]")
    start = days.astype("M8[M]" if name == "month day" else "M8[Y]")
    length = ((start + 1).astype("M8[D]") - start.astype("M8[D]")).astype(np.int64)
    return np.asarray((days - start.astype("M8[D]")).astype(np.int64) / length, dtype=np.float64)
