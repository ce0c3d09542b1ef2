"""Runs of several seeds, with the mean and spread of their scores, and the resumption of any run."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from recurra import bundle
from recurra.files import replace_file, to_json
from recurra.recipe import Recipe, make_options, naming_keys, read_recipe, write_recipe
from recurra.runs.models import source_of_seeds
from recurra.runs.one import continue_one, train_one
from recurra.runs.run import Run, Trained, holding, ranks
from recurra.stopping import Interruption
from recurra.tasks import Task
from recurra.training import Progress, figure


def train_seeds(run: Run) -> Trained:
    """Trains one model per seed."""
    with holding(run, lambda: bundle.making(run.out, overwrite=run.overwrite)) as held:
        write_recipe(held.place / bundle.RECIPE, run.task, run.recipe)
        return _each_seed(held)


def resume(task: Task, out: Path, progress: Progress, interruption: Interruption) -> Trained:
    """Continues an interrupted run of one model or of several seeds.

    Raises:
        InputError: the folder holds no run that can be continued.
    """
    if ranks()[0] == 0:
        bundle.check_resumable(out)
    run = Run(task, Recipe(), out, out, False, None, progress, interruption, time.monotonic())
    with holding(run, lambda: bundle.resuming(out)) as held:
        with interruption.giving_up(after=0):
            held = replace(held, recipe=_written_recipe(held))
            if held.recipe.seeds > 1:
                held = replace(held, source=source_of_seeds(task, held.recipe))
            else:
                bundle.check_has_checkpoint(held.place)
        return _each_seed(held) if held.recipe.seeds > 1 else continue_one(held)


def _written_recipe(run: Run) -> Recipe:
    """Reads the recipe that the run wrote, its options by group."""
    path = run.place / bundle.RECIPE
    recipe = read_recipe(path, run.task)
    with naming_keys(path, run.task, recipe.options):
        return recipe._replace(options=make_options(run.task, recipe.options))


def _each_seed(run: Run) -> Trained:
    """Trains the models of all seeds in turn; an interrupted one continues."""
    first, trained, scores = run.options["training"].seed, list[Trained](), list[dict[str, Any]]()
    for number in range(first, first + run.recipe.seeds):
        run.progress.note(f"seed {number}, {number - first + 1} of {run.recipe.seeds}")
        seed_run = _run_of_seed(run, number)
        out = seed_run.out
        if (out / bundle.TRAINING / bundle.CHECKPOINT).exists():
            trained.append(resume(run.task, out, run.progress, run.interruption))
        else:
            trained.append(train_one(seed_run))
        scores.append(bundle.read_metrics(out))
    statistics_of_scores = mean_and_spread(scores)
    replace_file(run.place / bundle.SEEDS, to_json({"seeds": scores, **statistics_of_scores}))
    for name, value in statistics_of_scores["mean"].items():
        spread = statistics_of_scores["spread"][name]
        run.progress.note(f"{name.replace('_', ' ')} {figure(value)} ± {figure(spread)} over {run.recipe.seeds} seeds")
    return Trained([one.model for one in trained], [line for one in trained for line in one.divergences])


def _run_of_seed(run: Run, number: int) -> Run:
    """Returns the run of one seed, in the folder seed-N inside that of all."""
    options = {**run.options, "training": replace(run.options["training"], seed=number)}
    recipe, out = run.recipe._replace(options=options, seeds=1), run.place / f"seed-{number}"
    return replace(run, recipe=recipe, out=out, place=out, overwrite=False, started=time.monotonic())


def mean_and_spread(scores: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Returns the mean and the standard deviation over seeds of every score on the validation data."""
    names = [name for name in scores[0] if name.startswith("valid_")]
    values = {name: [score[name] for score in scores] for name in names}
    return {
        "mean": {name: statistics.fmean(numbers) for name, numbers in values.items()},
        "spread": {name: statistics.stdev(numbers) if len(numbers) > 1 else 0.0 for name, numbers in values.items()},
    }
