"""What is chosen for series where the options leave it open."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from recurra.data.series.calendar import seen_features
from recurra.data.series.collection import Collection
from recurra.tasks.forecaster.options import SeriesOptions
from recurra.tasks.forecaster.transform import find_power

_CONTEXTS = (32, 512)
# Training values per weight of the linear part: of the longest series, or of all together.
_LEAST_LONG, _LEAST_TOTAL = 8, 50


def held_out_from(series: Collection, options: SeriesOptions, seasons: Sequence[int]) -> npt.NDArray[np.int64]:
    """Returns where the validation part of each series starts; short series keep two thirds for training."""
    lengths = series.lengths
    tenth = min(int(lengths.max()) // 10, 4 * options.horizon)
    steps = options.valid_steps or max(options.horizon, tenth)
    return np.asarray(np.maximum(lengths - steps, np.maximum(lengths * 2 // 3, 2)), dtype=np.int64)


def context_for(seasons: Sequence[int]) -> int:
    """Returns how many steps are read before a forecast."""
    least, most = _CONTEXTS
    return min(max(4 * seasons[0], 2 * seasons[-1], least), most)


def circles_for(series: Collection, valid_from: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """Returns the calendar features that the training part shows twice."""
    ends = [series.times(number, np.array([end]))[0] for number, end in enumerate(valid_from.tolist())]
    return seen_features(series.frequency, np.concatenate([series.first, np.array(ends, dtype=np.int64)]))


def window_for(seasons: Sequence[int], trained: npt.NDArray[np.int64]) -> int:
    """Returns the length of the linear part: two of the longest season that leave enough values to learn from."""
    for season in reversed(seasons):
        length = min(max(2 * season, 16), _CONTEXTS[1])
        if trained.max() >= _LEAST_LONG * length or trained.sum() >= _LEAST_TOTAL * length:
            return length
    return 0


def uniform_loss(series: Collection, distribution: str) -> float:
    """Returns the loss of a uniform guess: over four scales on both sides of the level, or over all counts."""
    if distribution != "negative-binomial":
        return math.log(8.0)
    return math.log(float(np.nanmax(series.values)) + 2)


def powers_for(series: Collection, transform: str) -> list[list[float | None]]:
    """Returns λ of the transform of each series and channel."""
    return [
        [find_power(series.values[series.rows(number), channel], transform) for channel in range(len(series.channels))]
        for number in range(len(series))
    ]
