"""What the forecaster task runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra.tasks.forecaster.data import SeriesData, prepare, reopen
from recurra.tasks.forecaster.model import Forecaster
from recurra.tasks.forecaster.options import EvaluationOptions, NetworkOptions, SeriesOptions, WindowOptions
from recurra.tasks.forecaster.report import report
from recurra.tasks.forecaster.training import ForecastObjective
from recurra.tasks.implementation import Implementation


def _prepare(
    files: Sequence[Path], options: Mapping[str, Any], folder: Path, *, start: Any, models: Mapping[str, Any]
) -> SeriesData:
    return prepare(files, options["data"], options["network"], options["windows"], folder, start=start)


IMPLEMENTATION = Implementation(
    model=Forecaster,
    options={"data": SeriesOptions, "network": NetworkOptions, "windows": WindowOptions},
    training={"epochs": 20.0, "least_steps": 1000, "learning_rate": 3e-3},
    prepare=_prepare,
    reopen=reopen,
    objective=ForecastObjective,
    report=report,
    evaluation=EvaluationOptions,
)
