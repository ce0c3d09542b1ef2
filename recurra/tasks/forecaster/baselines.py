"""Simple forecasts that every score table shows next to the network's.

naive           the last value
seasonal_naive  the value of the last season
drift           the last value, and the mean change per step since the first one
naive2          the last value, seasonally adjusted, times the factor of the season, as in the M4 competition
ets             exponential smoothing with an automatically chosen form, by statsforecast where it is installed
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.tasks.forecaster.history import History
from recurra.tasks.forecaster.predict import untransformed
from recurra.tasks.forecaster.statistics import Statistics

Ids = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
# Forecasts for which exponential smoothing is fitted: with the search of a form, and without.
_MOST_ETS, _MOST_SIMPLE = 50, 5000


class Baselines:
    """Computes simple forecasts from origins.

    Args:
        history: the series.
        statistics: of the training part of each series; None for one that training did not have.
        season: length of the season in steps, 1 for none.
        horizon: H.
    """

    names = ("naive", "seasonal_naive", "drift", "naive2")

    def __init__(self, history: History, statistics: Sequence[Statistics | None], *, season: int, horizon: int) -> None:
        self._history, self._statistics, self._season, self._horizon = history, statistics, season, horizon
        raw = history.filled.copy()
        for number in range(len(history.series)):
            rows = history.series.rows(number)
            raw[rows] = untransformed(raw[rows].T[None], history, np.array([number]))[0].T
        self._values = raw

    def forecast(self, number: Ids, origins: Ids) -> dict[str, Values]:
        """Returns the forecasts by name, each (n, C, H), from origins (n,) of series (n,)."""
        start, steps = self._history.series.starts[number], np.arange(1, self._horizon + 1)
        last = self._values[start + origins][..., None] + np.zeros(self._horizon)  # (n, C, H)
        back = self._season * -(-steps // self._season)
        place = origins[:, None] + steps - back  # (n, H)
        # A series shorter than a season: its last value.
        rows = start[:, None] + np.where(place >= 0, place, origins[:, None])
        seasonal = np.moveaxis(self._values[rows], -1, -2)  # (n, C, H)
        return {
            "naive": last,
            "seasonal_naive": seasonal,
            "drift": last + self._drift(number, origins)[..., None] * steps,
            "naive2": last * self._factors(number, origins, steps),
        }

    def _begin(self, number: int) -> tuple[Values, int]:
        """The first value of a series, (C,), and how many steps before the first stored one it was."""
        statistics, rows = self._statistics[number], self._history.series.rows(number)
        if statistics is None:
            return self._values[rows.start], 0
        return np.array(statistics.begin), self._offset(number)

    def _offset(self, number: int) -> int:
        """How many steps of the training part come before the first row of the history."""
        count = self._history.origins[number].levels[0].values
        return count if self._statistics[number] is not None else 0

    def _drift(self, number: Ids, origins: Ids) -> Values:
        slopes = np.empty((len(number), self._values.shape[1]))
        for place, (one, origin) in enumerate(zip(number.tolist(), origins.tolist(), strict=True)):
            begin, before = self._begin(one)
            last = self._values[self._history.series.starts[one] + origin]
            slopes[place] = (last - begin) / max(before + origin, 1)
        return slopes

    def _factors(self, number: Ids, origins: Ids, steps: Ids) -> Values:
        """The factor of the season at each step, relative to that at the origin, (n, C, H)."""
        factors = np.ones((len(number), self._values.shape[1], self._horizon))
        for place, (one, origin) in enumerate(zip(number.tolist(), origins.tolist(), strict=True)):
            statistics = self._statistics[one]
            for channel, indices in enumerate([] if statistics is None else statistics.seasonal_indices):
                if indices is not None:
                    table, at = np.array(indices), self._offset(one) + origin
                    ahead = table[(at + steps) % len(table)]
                    factors[place, channel] = ahead / table[at % len(table)]
        return factors


def smoothing_available() -> bool:
    """Whether statsforecast is installed."""
    return importlib.util.find_spec("statsforecast") is not None


def smoothing_method(forecasts: int) -> str | None:
    """Returns which exponential smoothing is affordable for so many forecasts: its name, or None.

    `ets` tries many forms, a second per forecast; `seasonal_smoothing` is a simple smoothing per place in the season.
    """
    if not smoothing_available() or forecasts > _MOST_SIMPLE:
        return None
    return "ets" if forecasts <= _MOST_ETS else "seasonal_smoothing"


def exponential_smoothing(values: Values, method: str, *, season: int, horizon: int) -> Values:
    """Returns the forecast (H,) of exponential smoothing for values (T,).

    Args:
        values: NaN where missing.
        method: as `smoothing_method` returns it.
        season: length of the season in steps, 1 for none.
        horizon: H.
    """
    from statsforecast.models import AutoETS, SeasonalExponentialSmoothingOptimized, SimpleExponentialSmoothingOptimized

    known = values[np.isfinite(values)]
    seasonal = season > 1 and len(known) > 2 * season
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if method == "ets":
            # With more than 24 seasonal states the search takes minutes per series.
            model: Any = AutoETS(season_length=season if seasonal and season <= 24 else 1)
        elif seasonal:
            model = SeasonalExponentialSmoothingOptimized(season_length=season)
        else:
            model = SimpleExponentialSmoothingOptimized()
        return np.asarray(model.forecast(known, horizon)["mean"], dtype=np.float64)
