"""New observations that the forecasts before them did not expect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.data.series.collection import Collection
from recurra.data.series.tables import load_polars
from recurra.errors import InputError
from recurra.tasks.forecaster.calibration import Calibration, surprise_of
from recurra.tasks.forecaster.core import Core
from recurra.tasks.forecaster.distributions import MEDIAN
from recurra.tasks.forecaster.forecasting import Outlook, outlooks
from recurra.tasks.forecaster.history import History
from recurra.tasks.forecaster.output import interval_columns, with_times
from recurra.tasks.forecaster.trial import trial_of

if TYPE_CHECKING:
    import polars


def anomalies(model: Core, series: Collection, *, false_alarms: float) -> polars.DataFrame:
    """Returns every new observation with its forecast one step ahead, its p-value, and whether it is an alarm.

    The p-value is the share of the held-out observations of training that were at least as surprising, relative to
    their intervals: where nothing is wrong, `false_alarms` of the observations are alarms.

    Args:
        model: the forecaster.
        series: new values, which continue the training series.
        false_alarms: the rate of alarms that is accepted.

    Raises:
        InputError: the model has no calibration, or the rate is out of its range.
    """
    if model.calibration is None:
        raise InputError("the model has no calibration, because its held-out part had too few values: no alarms")
    model.calibration.check_rate(false_alarms)
    polars, test = load_polars(), trial_of(model, series)
    history = test.history
    origins = [
        np.arange((begin or 1) - 1, end - 1)
        for begin, end in zip(test.begins.tolist(), history.series.ends.tolist(), strict=True)
    ]
    parts = []
    for outlook in outlooks(model, history, origins, horizon=1):
        for channel, name in enumerate(history.series.channels):
            columns = {
                **_columns(outlook, history, channel, model.calibration),
                "channel": [name] * len(outlook.number),
            }
            parts.append(polars.DataFrame(columns))
    if not parts:
        raise InputError("no new observation: expected values after the training series")
    frame = polars.concat(parts).sort("number", "ds").drop("number").filter(polars.col("y").is_not_nan())
    frame = frame.with_columns((polars.col("p_value") <= false_alarms).alias("alarm"))
    if len(history.series.channels) == 1:
        frame = frame.drop("channel")
    return with_times(frame, timed=history.series.frequency.timed)


def _columns(outlook: Outlook, history: History, channel: int, calibration: Calibration) -> dict[str, Any]:
    """The columns of one channel: the steps after origins, with their values, forecasts and p-values."""
    series = history.series
    at = series.starts[outlook.number] + outlook.origins
    relative = (history.values[at + 1, channel] - history.levels[at, channel]) / history.scales[at, channel]
    surprises = surprise_of(relative, outlook.relative[:, channel, 0])
    times = [
        int(series.times(number, np.array([place + 1]))[0])
        for number, place in zip(outlook.number.tolist(), outlook.origins.tolist(), strict=True)
    ]
    return {
        "number": outlook.number,
        "unique_id": [series.ids[number] for number in outlook.number.tolist()],
        "ds": times,
        "y": series.values[at + 1, channel],
        "median": outlook.quantiles[:, channel, 0, MEDIAN],
        **interval_columns(outlook.quantiles[:, channel, 0]),
        "p_value": np.array([calibration.p_value(float(surprise)) for surprise in surprises]),
    }
