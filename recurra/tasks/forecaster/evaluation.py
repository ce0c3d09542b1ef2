"""The scores of a forecaster on series that continue its training series, next to those of simple forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.data.series.collection import Collection
from recurra.errors import InputError
from recurra.metrics import IntervalScores, PointErrors, owa
from recurra.tasks.forecaster.baselines import Baselines, exponential_smoothing, smoothing_method
from recurra.tasks.forecaster.core import Core
from recurra.tasks.forecaster.distributions import LEVELS, MEDIAN
from recurra.tasks.forecaster.forecasting import Outlook, outlooks
from recurra.tasks.forecaster.history import History, join
from recurra.tasks.forecaster.statistics import Statistics, statistics_of

Ids = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


class Trial(NamedTuple):
    """Series to evaluate on."""

    history: History
    """The ends of the training series, and the new values after them."""
    begins: Ids
    """(N,), the first new position of each series."""
    statistics: list[Statistics | None]
    """Of the training series; None for a series that training did not have."""
    unknown: list[str]
    """The series that training did not have."""


def trial_of(model: Core, series: Collection) -> Trial:
    """Joins new series to the training series that they continue.

    Raises:
        InputError: a series overlaps its training part.
    """
    memory = model.memory.series
    lengths = dict(zip(memory.ids, memory.lengths.tolist(), strict=True))
    joined = join(memory, series)
    begins = np.array([lengths.get(name, 0) for name in series.ids], dtype=np.int64)
    history = model.read(joined, model.origins_for(joined, continued=True))
    statistics = [model.memory.statistics_of(name) for name in series.ids]
    return Trial(history, begins, statistics, [name for name in series.ids if name not in lengths])


def origins_of(test: Trial, *, horizon: int, stride: int, context: int) -> list[Ids]:
    """Returns the origins of each series: the last value before the new ones, then every `stride` steps.

    A forecast whose horizon exceeds the series is left out, unless it is the only one. A series that training did not
    have is read for a third of its length, at most `context` steps, before the first forecast.
    """
    ends, origins = test.history.series.ends, []
    for begin, end in zip(test.begins.tolist(), ends.tolist(), strict=True):
        start = (begin or min(context, end // 3)) - 1
        last = max(start, end - horizon - 1)
        origins.append(np.arange(start, last + 1, stride) if 0 <= start < end - 1 else np.zeros(0, dtype=np.int64))
    return origins


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
    season, N = model.inputs.seasons[0], len(test.history.series)
    statistics = [
        known
        or statistics_of(
            test.history.series.values[test.history.series.rows(number)],
            int(origins[number][0]) + 1 if len(origins[number]) else 1,
            season,
        )
        for number, known in enumerate(test.statistics)
    ]
    baselines = Baselines(test.history, statistics, season=season, horizon=horizon)
    errors = {name: PointErrors(N, horizon) for name in ("network", *baselines.names)}
    intervals, standardised = IntervalScores(LEVELS, horizon), PointErrors(N, horizon)
    for outlook in outlooks(model, test.history, origins, horizon=horizon):
        target = _targets(test, outlook, horizon)
        errors["network"].add(outlook.number, target, outlook.quantiles[..., MEDIAN], outlook.mean)
        intervals.add(target, outlook.quantiles)
        mean, deviation = _standards(statistics, outlook.number)
        standardised.add(
            outlook.number,
            (target - mean) / deviation,
            (outlook.quantiles[..., MEDIAN] - mean) / deviation,
            (outlook.mean - mean) / deviation,
        )
        for name, point in baselines.forecast(outlook.number, outlook.origins).items():
            errors[name].add(outlook.number, target, point)
    method = smoothing_method(count)
    if method is not None:
        errors[method] = _smoothed(test, origins, method, season=season, horizon=horizon)
    scales = np.array([np.mean(one.seasonal_error) for one in statistics])
    of_all = standardised.scores(scales)
    scores: dict[str, Any] = {
        **errors["network"].scores(scales),
        **intervals.scores(),
        "standardised_mse": of_all["rmse"] ** 2,
        "standardised_mae": of_all["mae"],
        "series": int(sum(len(places) > 0 for places in origins)),
        "forecasts": count,
        "unknown_series": test.unknown,
    }
    reference = errors["naive2"].scores(scales)
    scores["owa"] = owa(scores, reference)
    for name in errors:
        if name != "network":
            scores[name] = errors[name].scores(scales)
            scores[name]["owa"] = owa(scores[name], reference)
    scores["by_step"] = {**errors["network"].by_step(scales), **intervals.by_step()}
    if by_series:
        scores["by_series"] = {"unique_id": test.history.series.ids, **errors["network"].by_series(scales)}
    return scores


def _targets(test: Trial, outlook: Outlook, horizon: int) -> Values:
    """The values that came after origins, in their units, (n, C, H)."""
    series = test.history.series
    positions = outlook.origins[:, None] + np.arange(1, horizon + 1)
    inside = positions < series.lengths[outlook.number][:, None]
    rows = np.where(inside, series.starts[outlook.number][:, None] + positions, 0)
    return np.moveaxis(np.where(inside[..., None], series.values[rows], np.nan), -1, -2)


def _standards(statistics: Sequence[Statistics], number: Ids) -> tuple[Values, Values]:
    mean = np.array([statistics[one].mean for one in number.tolist()])[..., None]
    return mean, np.array([statistics[one].deviation for one in number.tolist()])[..., None]


def _smoothed(test: Trial, origins: Sequence[Ids], method: str, *, season: int, horizon: int) -> PointErrors:
    """Errors of exponential smoothing, fitted to the stored steps before each origin."""
    series, errors = test.history.series, PointErrors(len(test.history.series), horizon)
    for number, places in enumerate(origins):
        rows = series.rows(number)
        for place in places.tolist():
            past = series.values[rows.start : rows.start + place + 1]
            point = np.stack(
                [
                    exponential_smoothing(past[:, channel], method, season=season, horizon=horizon)
                    for channel in range(past.shape[1])
                ]
            )
            at = Outlook(np.array([number]), np.array([place]), *(np.zeros(0),) * 3)
            errors.add(at.number, _targets(test, at, horizon), point[None])
    return errors
