"""What the forecaster task runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra.tasks.forecaster.data import SeriesData, prepare, reopen
from recurra.tasks.forecaster.model import Forecaster
from recurra.tasks.forecaster.options import EvaluationOptions, NetworkOptions, SeriesOptions, WindowOptions
from recurra.tasks.forecaster.report import report
from recurra.tasks.forecaster.training import ForecastObjective
from recurra.tasks.implementation import Implementation

# The options of how files are read.
FILES = ("id_column", "time_column", "target", "past", "known", "static", "categorical", "decimal_comma", "time_format")


def _prepare(
    files: Sequence[Path],
    options: Mapping[str, Any],
    folder: Path,
    *,
    start: Any,
    models: Mapping[str, Any],
    note: Callable[[str], None],
) -> SeriesData:
    return prepare(
        files,
        options["data"],
        options["network"],
        options["windows"],
        folder,
        start=None if start is None else start.core,
    )


IMPLEMENTATION = Implementation(
    model=Forecaster,
    options={"data": SeriesOptions, "network": NetworkOptions, "windows": WindowOptions},
    training={"epochs": 20.0, "least_steps": 1000, "learning_rate": 3e-3},
    prepare=_prepare,
    reopen=reopen,
    objective=ForecastObjective,
    report=report,
    fixed=frozenset(
        {*FILES, "horizon", "season", "freq", "together", "transform", "context", "linear"},
    ),
    evaluation=EvaluationOptions,
)
