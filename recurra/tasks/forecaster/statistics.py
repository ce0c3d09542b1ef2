"""Statistics of a training series that scores and baselines need later."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Statistics:
    """Statistics of one series, a number per channel.

    Args:
        mean: of the part that was trained on, without the held-out one.
        deviation: the standard deviation there; 1 for a constant series.
        seasonal_error: the mean absolute error of the seasonal naive forecast one step ahead, the scale of MASE, in
            training and held-out part; 0 if it has none.
        seasonal_indices: factors of the season by position modulo the season, for the forecast Naive 2 of the M4
            competition; None if the series has no season by its test.
        begin: the first value, from which the drift is measured.
        steps: number of steps.
    """

    mean: list[float]
    deviation: list[float]
    seasonal_error: list[float]
    seasonal_indices: list[list[float] | None]
    begin: list[float]
    steps: int

    def to_plain(self) -> dict[str, Any]:
        """Returns the fields, as JSON can represent them."""
        return asdict(self)

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> Statistics:
        """Returns the statistics that `to_plain` described."""
        return cls(**content)


def statistics_of(values: Values, trained: int, season: int) -> Statistics:
    """Returns the statistics of a series.

    Args:
        values: (T, C), NaN where missing.
        trained: steps before the held-out part.
        season: length of the season in steps, 1 for none.
    """
    columns = [values[:, channel] for channel in range(values.shape[1])]
    parts = [column[:trained][np.isfinite(column[:trained])] for column in columns]
    return Statistics(
        mean=[float(part.mean()) if len(part) else 0.0 for part in parts],
        deviation=[(float(part.std()) or 1.0) if len(part) else 1.0 for part in parts],
        seasonal_error=[_seasonal_error(column, season) for column in columns],
        seasonal_indices=[_seasonal_indices(column, season) for column in columns],
        begin=[float(column[np.isfinite(column)][0]) if np.isfinite(column).any() else 0.0 for column in columns],
        steps=len(values),
    )


def _seasonal_error(values: Values, season: int) -> float:
    if len(values) <= season:
        season = 1
    errors = np.abs(values[season:] - values[:-season])
    errors = errors[np.isfinite(errors)]
    return float(errors.mean()) if len(errors) else 0.0


def _seasonal_indices(values: Values, season: int) -> list[float] | None:
    """Returns the factors of a classical multiplicative decomposition, if the series is seasonal by the test of M4."""
    known = np.isfinite(values)
    if (
        season < 2
        or len(values) < 3 * season
        or not known.all()
        or values.min() <= 0
        or not _is_seasonal(values, season)
    ):
        return None
    weights = np.ones(season) if season % 2 else np.r_[0.5, np.ones(season - 1), 0.5]
    trend = np.convolve(values, weights / weights.sum(), mode="valid")
    begin = len(weights) // 2
    ratios = values[begin : begin + len(trend)] / trend
    places = (np.arange(len(ratios)) + begin) % season
    means = np.array([ratios[places == place].mean() for place in range(season)])
    return [float(factor) for factor in means / means.mean()]


def _is_seasonal(values: Values, season: int) -> bool:
    """Whether the autocorrelation at the season exceeds the limit of 90 % of Bartlett's formula, as in M4."""
    centred = values - values.mean()
    power = float(centred @ centred)
    if power == 0:
        return False
    lags = [float(centred[lag:] @ centred[:-lag]) / power for lag in range(1, season + 1)]
    limit = 1.645 * np.sqrt((1 + 2 * np.square(lags[:-1]).sum()) / len(values))
    return abs(lags[-1]) > float(limit)
