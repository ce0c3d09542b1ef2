"""Series to evaluate a forecaster on: new values after its training series, and the origins of the forecasts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.data.series.collection import Collection
from recurra.errors import InputError
from recurra.tasks.forecaster.core import Core
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
        InputError: a series overlaps its training part, or a known covariate is missing where there is a value.
    """
    _check_known(model, series)
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


def _check_known(model: Core, series: Collection) -> None:
    """Refuses values without the covariates that would have been known before them."""
    observed = np.isfinite(series.values).any(axis=1)
    for column, covariate in enumerate(model.layout.of("known", "static")):
        missing = np.flatnonzero(observed & ~np.isfinite(series.known[:, column]))
        if covariate.role == "known" and len(missing):
            number = int(np.searchsorted(series.starts, missing[0], side="right")) - 1
            raise InputError(
                f"series {series.ids[number]!r}: the known covariate {covariate.name!r} is missing at "
                f"{len(missing):,} of {int(observed.sum()):,} steps with values, first at step "
                f"{int(missing[0] - series.starts[number]) + 1}: scores would be of forecasts without it"
            )


def complete_statistics(test: Trial, origins: list[Ids], season: int) -> list[Statistics]:
    """Returns the statistics of each series; those of a series that training did not have are of its steps before."""
    series, complete = test.history.series, []
    for number, known in enumerate(test.statistics):
        before = int(origins[number][0]) + 1 if len(origins[number]) else 1
        complete.append(known or statistics_of(series.values[series.rows(number)][:before], before, season))
    return complete


def targets_after(test: Trial, number: Ids, origins: Ids, horizon: int) -> Values:
    """Returns the values after origins (n,) of series (n,), in their units, (n, C, H); NaN where missing."""
    series = test.history.series
    positions = origins[:, None] + np.arange(1, horizon + 1)
    inside = positions < series.lengths[number][:, None]
    rows = np.where(inside, series.starts[number][:, None] + positions, 0)
    return np.moveaxis(np.where(inside[..., None], series.values[rows], np.nan), -1, -2)
