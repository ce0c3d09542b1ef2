"""`recurra.train` and `recurra.load`, on which the command line is built.

A run checks the options, then the files, which it encodes into `DIR/training`. The training loop saves the best model
so far into `DIR` and checkpoints into `DIR/training`. At the end the best model is scored, and its card is written.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra import bundle
from recurra.cells import Cell
from recurra.errors import InputError, nearest
from recurra.recipe import Recipe, make_options, naming_keys, naming_values, read_recipe
from recurra.runs.interruption import interruptible
from recurra.runs.models import adopt, load_model
from recurra.runs.one import train_one
from recurra.runs.run import Run, ranks
from recurra.runs.seeds import resume as resume_run
from recurra.runs.seeds import train_seeds
from recurra.stopping import Interruption
from recurra.tasks import TASKS, Task
from recurra.training import Progress, Silent


def train(
    task: str,
    files: str | Path | Sequence[str | Path] = (),
    *,
    out: str | Path,
    recipe: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    init_from: str | Path | None = None,
    seeds: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Any:
    """Trains a model on files and saves it in a folder.

    Args:
        task: the name of a task, such as "lm".
        files: the training files; for "lm", none means the Python sources of the standard library.
        out: the folder of the model.
        recipe: a TOML file of options; the arguments of this call override it.
        resume: continue an interrupted run exactly where its checkpoint is; it keeps its files and options.
        overwrite: replace the model in the folder; it remains usable until the new one is complete.
        init_from: the folder of a model to start from, in place of random weights; its vocabulary and network are kept.
        seeds: number of models to train, with the seeds that follow `seed`, in the folders seed-0, seed-1, …; 1 by
            default.
        progress: receives the progress; None for no output.
        **options: the options of `recurra train`, with underscores.

    Returns:
        The trained model, or a list of them with `seeds`.

    Raises:
        InputError: an argument or a file cannot be used; nothing was changed.
        RecurraError: training failed, and the last checkpoint is complete; or it ended and had diverged: the best model
            is saved, and its loss is more than twice that of a uniform guess.
        recurra.training.Interrupted: Ctrl-C or SIGTERM; the message names what is saved and how to continue.
    """
    started, out, progress = time.monotonic(), Path(out), progress or Silent()
    if task not in TASKS:
        raise InputError(f"there is no task {task!r}. {nearest(task, TASKS)}")
    row, paths = TASKS[task], [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
    if resume:
        if paths or options or recipe or init_from or overwrite or seeds is not None:
            raise InputError(f"a resumed run keeps its files and options: set only {out} and --resume")
        with interruptible(task, out, progress) as interruption:
            return resume_run(row, out, progress, interruption).checked()
    with interruptible(task, out, progress) as interruption:
        settings = Recipe() if recipe is None else read_recipe(recipe, row)
        from_recipe = _from_recipe(settings, {**options, "seeds": seeds, "init_from": init_from})
        with naming_keys(recipe, row, from_recipe), naming_values({**settings.options, **options}):
            with interruption.giving_up(after=0):
                settings = settings._replace(
                    files=paths or settings.files,
                    seeds=settings.seeds if seeds is None else seeds,
                    init_from=settings.init_from if init_from is None else Path(init_from),
                )
                run = _new_run(row, settings, options, out, overwrite, progress, interruption, started)
            return (train_one(run) if settings.seeds == 1 else train_seeds(run)).checked()


def _new_run(
    task: Task,
    recipe: Recipe,
    options: dict[str, Any],
    out: Path,
    overwrite: bool,
    progress: Progress,
    interruption: Interruption,
    started: float,
) -> Run:
    """Returns the run with its options by group; `options` override those of the recipe.

    Raises:
        InputError: an option or the model to start from cannot be used, or the folder is not free.
    """
    if recipe.seeds < 1:
        raise InputError(f"seeds={recipe.seeds}: expected 1 or more")
    source, determined, options = adopt(task, recipe.init_from, recipe.options, options)
    groups = make_options(task, options, below={**determined, **recipe.options})
    if ranks()[0] == 0:
        bundle.check_free(out, overwrite=overwrite)
    used = recipe._replace(options=groups)
    return Run(task, used, out, out, overwrite, source, progress, interruption, started)


def _from_recipe(recipe: Recipe, arguments: Mapping[str, Any]) -> set[str]:
    """Returns the names of the options whose values come from a recipe."""
    return {*recipe.options, "seeds", "init_from"} - {name for name, value in arguments.items() if value is not None}


def load(folder: str | Path, *, cell: str | Cell | type[Cell] | None = None, device: str = "cpu") -> Any:
    """Loads a model that `recurra train` wrote.

    Args:
        folder: the folder of the model.
        cell: the recurrent cell, if the model was trained with a user-defined cell.
        device: where to put the weights.

    Raises:
        InputError: the folder contains no model, or a damaged one.
    """
    return load_model(folder, cell=cell, device=device)
