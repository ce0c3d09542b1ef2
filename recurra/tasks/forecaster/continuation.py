"""The series that a forecast starts from: those that the model keeps, and new values."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.data.series.collection import Collection
from recurra.errors import InputError
from recurra.tasks.forecaster.core import Core
from recurra.tasks.forecaster.history import History, join, steps_between


class Continuation(NamedTuple):
    """Series to forecast."""

    history: History
    notes: list[str]
    """What a person should know about them."""

    @property
    def origins(self) -> list[npt.NDArray[np.int64]]:
        """The position of the last value of each series."""
        return [np.array([end - 1]) for end in self.history.series.ends]


def remembered(model: Core) -> Continuation:
    """Returns the series that the model keeps."""
    memory = model.memory
    return Continuation(model.read(memory.series, memory.origins), [])


def continued(model: Core, series: Collection) -> Continuation:
    """Returns new series, each after the one of its name that the model keeps.

    A series that starts before the kept one ends replaces it: the file then has its whole history.
    """
    memory, notes = model.memory.series, list(series.notes)
    numbers = {name: number for number, name in enumerate(memory.ids)}
    replaced, gaps = [], []
    for number, name in enumerate(series.ids):
        if name in numbers:
            gap = steps_between(memory, numbers[name], int(series.first[number]))
            replaced.append(gap < 0)
            gaps.append(gap)
        else:
            replaced.append(True)
    joined = join(memory, series, replacing=True)
    origins = [
        fresh if new else kept
        for new, fresh, kept in zip(
            replaced, model.origins_for(joined, continued=False), model.origins_for(joined, continued=True), strict=True
        )
    ]
    unknown = [name for name in series.ids if name not in numbers]
    if unknown:
        extra = ", without a vector of their own" if model.options.series_embedding else ""
        notes.append(f"{len(unknown):,} series were not in the training data{extra}: {', '.join(unknown[:5])}")
    if any(gap > 0 for gap in gaps):
        notes.append(f"up to {max(gaps):,} steps between the training data and the new values are missing")
    short = int((joined.lengths < model.inputs.seasons[0]).sum())
    if short:
        notes.append(f"{short:,} series are shorter than a season of {model.inputs.seasons[0]} steps")
    return Continuation(model.read(joined, origins), notes)


def check_known(model: Core, history: History, origins: list[npt.NDArray[np.int64]], horizon: int) -> None:
    """Checks that the covariates that are known for the future are there for every step of a forecast.

    Raises:
        InputError: one ends too early, or is missing.
    """
    series = history.series
    for column, covariate in enumerate(model.layout.of("known", "static")):
        if covariate.role != "known":
            continue
        for number, places in enumerate(origins):
            for place in places.tolist():
                begin = int(series.starts[number]) + place + 1
                present = np.isfinite(
                    series.known[begin : min(begin + horizon, int(series.starts[number + 1])), column]
                )
                if present.sum() < horizon:
                    raise InputError(
                        f"series {series.ids[number]!r}: the known covariate {covariate.name!r} has values for "
                        f"{int(present.sum())} of the {horizon} steps after the last value. Add rows for them to the "
                        f"input, with {', '.join(model.layout.targets)} empty"
                    )
