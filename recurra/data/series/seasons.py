"""The length of the seasons of series: from their frequency, or from the series themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from recurra.data.series.frequency import DAY, HOUR, MINUTE, Frequency

# Autocorrelation that a season found in the data must exceed, and lags that are tried.
_LEAST_CORRELATION, _LONGEST_LAG = 0.3, 400
# Series from which the season is estimated.
_SAMPLE = 50
Values = npt.NDArray[np.float64]


def seasons_of(frequency: Frequency, series: Sequence[Values]) -> list[int]:
    """Returns the lengths of seasons in steps, shortest first; [1] if there is none.

    A frequency of timestamps determines them: hours have a day and a week, days a week, weeks and months a year. The
    day and the year are kept only if the series are long enough for two of them. For integers they are estimated.

    Args:
        frequency: of the series.
        series: the values of each series, NaN where missing.
    """
    longest = max(map(len, series), default=0)
    natural = _natural(frequency)
    if natural:
        fitting = [season for season in natural if 2 * season <= longest]
        return fitting or [1]
    return _estimated(series)


def _natural(frequency: Frequency) -> list[int]:
    size = frequency.size
    if frequency.unit == "business":
        return [5]
    if frequency.unit == "month":
        return [12 // size] if 12 % size == 0 and size < 12 else [1]
    if frequency.unit != "fixed":
        return []
    if size == 7 * DAY:
        return [52]
    if size == DAY:
        return [7]
    if size >= MINUTE and DAY % size == 0:
        return [DAY // size, 7 * DAY // size]
    if size < MINUTE and HOUR % size == 0:
        return [MINUTE // size] if MINUTE % size == 0 and size < MINUTE else [HOUR // size]
    return []


def _estimated(series: Sequence[Values]) -> list[int]:
    """Returns the season with the highest mean autocorrelation, and a multiple of it if that is clearly higher."""
    chosen = series[:: max(1, len(series) // _SAMPLE)]
    correlations = [_autocorrelation(values) for values in chosen]
    lags = min(map(len, correlations), default=0)
    if lags < 4:
        return [1]
    mean = np.median([correlation[:lags] for correlation in correlations], axis=0)
    # A season is a local maximum: a trend has a high autocorrelation at all short lags, and no maximum.
    peaks = [lag for lag in range(2, lags - 1) if mean[lag] > max(mean[lag - 1], mean[lag + 1], _LEAST_CORRELATION)]
    if not peaks:
        return [1]
    highest = max(mean[lag] for lag in peaks)
    first = next(lag for lag in peaks if mean[lag] >= 0.85 * highest)
    # A second season, as a week of days, correlates clearly more than the multiples of the first one next to it.
    multiples = range(2 * first, lags - first, first)
    longer = [
        lag
        for lag in multiples
        if mean[lag] > max(mean[lag - first], mean[lag + first]) + 0.03 and mean[lag] > 0.9 * mean[first]
    ]
    return [first, longer[0]] if longer else [first]


def _autocorrelation(values: Values) -> Values:
    """Returns the autocorrelation of the differences from a moving mean by lag, from 0 to at most half the length."""
    known = values[np.isfinite(values)]
    most = min(_LONGEST_LAG, len(known) // 2)
    if most < 4 or known.std() == 0:
        return np.zeros(0)
    # A straight line is removed: an autocorrelation of a trend hides the season.
    steps = np.arange(len(known))
    known = known - np.polyval(np.polyfit(steps, known, 1), steps)
    size = 1 << (2 * len(known) - 1).bit_length()
    power = np.abs(np.fft.rfft(known, size)) ** 2
    sums = np.fft.irfft(power, size)[:most]
    # Divided by the number of products, so that long lags are comparable with short ones.
    sums *= len(known) / (len(known) - np.arange(most))
    return np.asarray(sums / max(sums[0], 1e-300), dtype=np.float64)
