"""`recurra backtest DIR FILE`: scores from rolling origins, with or without training again for each."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from recurra import bundle
from recurra.api import train
from recurra.cli.opening import open_model
from recurra.errors import InputError
from recurra.tasks.forecaster.backtest import backtest as run_backtest
from recurra.tasks.forecaster.core import Core
from recurra.tasks.forecaster.model import Forecaster


def backtest(
    model: Annotated[Path, Parameter(name="DIR")],
    files: Annotated[list[Path], Parameter(name="FILE", negative=())],
    /,
    *,
    folds: int = 3,
    horizon: int | None = None,
    stride: int | None = None,
    refit: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    cell: str | None = None,
) -> None:
    """Score forecasts from rolling origins at the end of complete series, next to simple forecasts.

    Without --refit the model in DIR makes all forecasts; the folds must lie after its training part, which
    --test-steps of its training leaves free. With --refit a model is trained for each fold on everything before it,
    with the options of the one in DIR.

    ```sh
    recurra backtest sales sales.csv --folds 4
    recurra backtest sales sales.csv --folds 4 --refit
    ```

    Parameters
    ----------
    model
        The folder of a trained forecaster.
    files
        The complete series, those of training included.
    folds
        Number of folds; the last one ends with the series.
    horizon
        Steps of a fold. Default: as in training.
    stride
        Steps between the starts of folds. Default: the horizon.
    refit
        Train a model for each fold.
    as_json
        Print all scores as one JSON object.
    cell
        module:Class, if the model was trained with a user-defined cell.
    """
    forecaster: Forecaster = open_model(model, cell, needs=Forecaster, does="forecast")
    horizon = horizon or forecaster.horizon
    if folds < 1 or horizon < 1 or (stride is not None and stride < 1):
        raise InputError(f"folds={folds}, horizon={horizon}, stride={stride}: expected 1 or more")
    series = forecaster.series_of(forecaster.tables(files))

    def model_for(hidden: int) -> Core:
        if not refit:
            return forecaster.core
        print(f"recurra: training without the last {hidden} steps", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            place, recipe = Path(folder) / "fold", model / bundle.RECIPE
            trained: Forecaster = train("forecaster", files, out=place, recipe=recipe, test_steps=hidden)
            return trained.core

    scores = run_backtest(series, model_for, folds=folds, horizon=horizon, stride=stride or horizon)
    print(json.dumps(scores) if as_json else _table(scores))


def _table(scores: dict[str, Any]) -> str:
    names = ["network", *(name for name, value in scores.items() if isinstance(value, dict))]
    width = max(map(len, names)) + 2
    lines = ["MASE by fold", " " * 14 + "".join(f"{name.replace('_', ' '):>{width}}" for name in names)]
    for fold in [*scores["folds"], scores]:
        title = f"last {fold['hidden_steps']} steps" if "hidden_steps" in fold else "mean"
        figures = [fold["mase"], *(fold[name]["mase"] for name in names[1:])]
        lines.append(f"{title:<14}" + "".join(f"{figure:>{width}.3f}" for figure in figures))
    lines.append(f"80 % intervals: {scores['coverage_80']:.1%} of the values inside")
    return "\n".join(lines)
