"""Forecasts as a table: a row per series and time, with the mean, the median and the ends of the intervals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from recurra.data.series.frequency import DAY, Times
from recurra.data.series.tables import load_polars
from recurra.metrics import INTERVALS
from recurra.tasks.forecaster.distributions import LEVELS, MEDIAN
from recurra.tasks.forecaster.forecasting import Outlook
from recurra.tasks.forecaster.history import History

if TYPE_CHECKING:
    import polars

COLUMNS = [f"lo-{share}" for share in sorted(INTERVALS, reverse=True)] + [f"hi-{share}" for share in sorted(INTERVALS)]
"""The columns of the ends of the intervals, lowest first."""


def forecast_frame(outlooks: Iterable[Outlook], history: History, *, paths: int = 0) -> polars.DataFrame:
    """Returns forecasts in the order of the series, with the columns unique_id, ds, mean, median and `COLUMNS`.

    Several channels have a column `channel` too.

    Args:
        outlooks: the forecasts.
        history: the series.
        paths: how many sample paths are further columns.
    """
    polars, series = load_polars(), history.series
    parts = []
    for outlook in outlooks:
        for place, (number, origin) in enumerate(zip(outlook.number.tolist(), outlook.origins.tolist(), strict=True)):
            steps = np.arange(1, outlook.mean.shape[-1] + 1)
            times = series.times(number, origin + steps)
            for channel, name in enumerate(series.channels):
                quantiles = outlook.quantiles[place, channel]  # (H, Q)
                columns: dict[str, Any] = {"unique_id": [series.ids[number]] * len(steps), "ds": times}
                if len(series.channels) > 1:
                    columns["channel"] = [name] * len(steps)
                columns |= {"mean": outlook.mean[place, channel], "median": quantiles[:, MEDIAN]}
                columns |= interval_columns(quantiles)
                if outlook.paths is not None:
                    drawn = outlook.paths[place, channel]
                    columns |= {f"path-{path + 1}": drawn[:, path] for path in range(paths)}
                parts.append((number, origin, channel, columns))
    parts.sort(key=lambda part: part[:3])
    frame = polars.concat([polars.DataFrame(columns) for *_, columns in parts])
    return with_times(frame, timed=series.frequency.timed)


def interval_columns(quantiles: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
    """Returns the ends of the intervals by name from quantiles (…, Q)."""
    ends: dict[str, npt.NDArray[np.float64]] = {}
    for name in COLUMNS:
        side, share = name.split("-")
        level = INTERVALS[int(share)][side == "hi"]
        ends[name] = quantiles[..., LEVELS.index(level)]
    return ends


def with_times(frame: polars.DataFrame, *, timed: bool) -> polars.DataFrame:
    """Returns a table whose column ds has timestamps in place of microseconds; dates if no time has hours."""
    if not timed:
        return frame
    polars = load_polars()
    days_only = bool((frame["ds"] % DAY == 0).all())
    kind = polars.Date if days_only else polars.Datetime("us")
    return frame.with_columns(frame["ds"].cast(polars.Datetime("us")).cast(kind))


def shown_times(times: Times, *, timed: bool) -> Any:
    """Returns times for a plot: numpy timestamps, or integers."""
    return times.astype("M8[us]") if timed else times
