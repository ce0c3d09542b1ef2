"""Rolling origins: the scores of forecasts from the starts of consecutive folds at the end of the series."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from recurra.data.series.collection import Collection, assemble
from recurra.errors import InputError
from recurra.tasks.forecaster.core import Core
from recurra.tasks.forecaster.evaluation import evaluate
from recurra.tasks.forecaster.history import steps_between
from recurra.tasks.forecaster.trial import trial_of


def backtest(
    series: Collection, model_for: Callable[[int], Core], *, folds: int, horizon: int, stride: int
) -> dict[str, Any]:
    """Returns the scores of each fold, and their means.

    Args:
        series: complete series.
        model_for: returns the model of a fold from the number of steps that it may not see at the end of each series.
        folds: number of folds; the last one ends with the series.
        horizon: steps of a fold.
        stride: steps between the starts of folds.

    Raises:
        InputError: a fold starts before the training part of its model ends, or the series are too short.
    """
    scored = []
    for fold in reversed(range(folds)):
        hidden = horizon + fold * stride
        model = model_for(hidden)
        part = after_training(model, series.head(np.maximum(series.lengths - hidden + horizon, 0)), hidden, horizon)
        scores = evaluate(model, trial_of(model, part), horizon=horizon, stride=horizon)
        scored.append({"hidden_steps": hidden, **{key: value for key, value in scores.items() if key != "by_step"}})
    return {"folds": scored, **_means(scored)}


def after_training(model: Core, series: Collection, hidden: int, horizon: int) -> Collection:
    """Returns the steps of series after the training part of a model, up to the end of a fold.

    Raises:
        InputError: the training part contains steps of the fold.
    """
    memory = model.memory.series
    numbers = {name: number for number, name in enumerate(memory.ids)}
    parts = []
    for number, name in enumerate(series.ids):
        rows = series.rows(number)
        start = rows.start
        if name in numbers:
            # Steps of the file before the end of the training part.
            known = max(0, -steps_between(memory, numbers[name], int(series.first[number])))
            if known > rows.stop - rows.start - horizon:
                raise InputError(
                    f"series {name!r}: the fold that starts {hidden} steps before the end is in the training data of "
                    "the model. Use fewer folds, a model trained with --test-steps, or --refit"
                )
            start += known
        if rows.stop > start:
            parts.append((number, slice(start, rows.stop)))
    if not parts:
        raise InputError(f"no series has the {hidden} steps of the folds")
    return assemble(series, parts)


def _means(folds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over folds of all scores that are numbers, and of those of the baselines."""
    means: dict[str, Any] = {}
    for name, value in folds[0].items():
        if isinstance(value, float):
            means[name] = statistics.fmean(fold[name] for fold in folds)
        elif isinstance(value, dict):
            means[name] = {key: statistics.fmean(fold[name][key] for fold in folds) for key in value}
    return means
