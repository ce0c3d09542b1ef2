"""The scores of a forecaster on series that continue its training series, next to those of simple forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.errors import InputError
from recurra.metrics import IntervalScores, PointErrors, owa
from recurra.tasks.forecaster.baselines import Baselines, exponential_smoothing, smoothing_method
from recurra.tasks.forecaster.core import Core
from recurra.tasks.forecaster.distributions import LEVELS, MEDIAN
from recurra.tasks.forecaster.forecasting import Outlook, outlooks
from recurra.tasks.forecaster.statistics import Statistics
from recurra.tasks.forecaster.trial import Trial, complete_statistics, origins_of, targets_after

Ids = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


def evaluate(
    model: Core, test: Trial, *, horizon: int, stride: int | None = None, by_series: bool = False
) -> dict[str, Any]:
    """Returns the scores.

    Args:
        model: the forecaster.
        test: the series.
        horizon: steps to forecast.
        stride: steps between origins; None for the horizon.
        by_series: whether the scores of each series are returned too.

    Returns:
        The scores of the network by name; `standardised_mse` and `standardised_mae` of values relative to the mean
        and standard deviation of the training part; `by_step`, those of each step of the horizon; the same under the
        names of the baselines; `series` and `forecasts`, how many there were.

    Raises:
        InputError: there is nothing to evaluate.
    """
    origins = origins_of(test, horizon=horizon, stride=stride or horizon, context=model.context)
    count = sum(map(len, origins))
    if not count:
        raise InputError("no forecast can be compared with a value: expected series with new values")
    season = model.inputs.seasons[0]
    statistics = complete_statistics(test, origins, season)
    baselines = Baselines(test.history, statistics, season=season, horizon=horizon)
    tally = _Tally(statistics, baselines.names, horizon)
    for outlook in outlooks(model, test.history, origins, horizon=horizon):
        target = targets_after(test, outlook.number, outlook.origins, horizon)
        tally.add(outlook, target, baselines.forecast(outlook.number, outlook.origins))
    method = smoothing_method(count)
    if method is not None:
        tally.errors[method] = _smoothed(test, origins, method, season=season, horizon=horizon)
    scores = tally.scores()
    scores |= {"series": sum(len(places) > 0 for places in origins), "forecasts": count, "unknown_series": test.unknown}
    if by_series:
        scores["by_series"] = {"unique_id": _names(test), **tally.errors["network"].by_series(tally.scales)}
    return scores


class _Tally:
    """The errors of all forecasts; each channel of a series counts as a series of its own."""

    def __init__(self, statistics: Sequence[Statistics], names: Sequence[str], horizon: int) -> None:
        self.scales = np.array([one.seasonal_error for one in statistics]).reshape(-1)
        self._mean = np.array([one.mean for one in statistics])[..., None]  # (N, C, 1)
        self._deviation = np.array([one.deviation for one in statistics])[..., None]
        rows = len(self.scales)
        self.errors = {name: PointErrors(rows, horizon) for name in ("network", *names)}
        self._intervals, self._standardised = IntervalScores(LEVELS, horizon), PointErrors(rows, horizon)

    def add(self, outlook: Outlook, target: Values, simple: dict[str, Values]) -> None:
        """Adds forecasts from n origins, with what came, (n, C, H), and simple forecasts."""
        median, mean = outlook.quantiles[..., MEDIAN], outlook.mean
        _add(self.errors["network"], outlook.number, target, median, mean)
        self._intervals.add(target, outlook.quantiles)
        centre, width = self._mean[outlook.number], self._deviation[outlook.number]
        standard = [(values - centre) / width for values in (target, median, mean)]
        _add(self._standardised, outlook.number, *standard)
        for name, point in simple.items():
            _add(self.errors[name], outlook.number, target, point)

    def scores(self) -> dict[str, Any]:
        """Returns all scores, those of simple forecasts under their names."""
        standardised = self._standardised.scores(self.scales)
        of_all = {name: errors.scores(self.scales) for name, errors in self.errors.items()}
        for scores in of_all.values():
            scores["owa"] = owa(scores, of_all["naive2"])
        return {
            **of_all.pop("network"),
            **self._intervals.scores(),
            "standardised_mse": standardised["rmse"] ** 2,
            "standardised_mae": standardised["mae"],
            **of_all,
            "by_step": {**self.errors["network"].by_step(self.scales), **self._intervals.by_step()},
        }


def _add(errors: PointErrors, number: Ids, target: Values, point: Values, mean: Values | None = None) -> None:
    """Adds forecasts (n, C, H) with channels as series."""
    n, C, H = target.shape
    rows = (number[:, None] * C + np.arange(C)).reshape(-1)
    flat = [None if values is None else values.reshape(n * C, 1, H) for values in (target, point, mean)]
    errors.add(rows, *flat)  # type: ignore[arg-type]


def _names(test: Trial) -> list[str]:
    """The names of series, with those of their channels if there are several."""
    series = test.history.series
    if len(series.channels) == 1:
        return series.ids
    return [f"{name}: {channel}" for name in series.ids for channel in series.channels]


def _smoothed(test: Trial, origins: Sequence[Ids], method: str, *, season: int, horizon: int) -> PointErrors:
    """Returns the errors of exponential smoothing, fitted to the stored steps before each origin."""
    series = test.history.series
    errors = PointErrors(len(series) * len(series.channels), horizon)
    for number, places in enumerate(origins):
        values = series.values[series.rows(number)]
        for place in places.tolist():
            point = [
                exponential_smoothing(past, method, season=season, horizon=horizon) for past in values[: place + 1].T
            ]
            at = np.array([number]), np.array([place])
            _add(errors, at[0], targets_after(test, *at, horizon), np.stack(point)[None])
    return errors
