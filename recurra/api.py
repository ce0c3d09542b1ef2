"""What the command line is a skin over: train a task on files, load a trained model.

The way of a run: options are checked, then the files; the text is encoded into `DIR/training`; the loop trains, saves
the best model so far into `DIR` and checkpoints into `DIR/training`; the best is scored once more, its card written.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from recurra import bundle
from recurra.cells import Cell, find_cell
from recurra.errors import InputError, RecurraError, nearest
from recurra.recipe import Recipe, make_options, read_recipe, write_recipe
from recurra.tasks import TASKS, Job, Task
from recurra.training import Progress, Silent, describe_machine
from recurra.training import train as run_training


@dataclass(frozen=True)
class _Run:
    """One run: where it goes and what was chosen."""

    task: Task
    files: Sequence[Path]
    options: dict[str, Any]
    out: Path
    init_from: Path | None
    progress: Progress
    started: float


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
        task: a name of the table of tasks, such as "lm".
        files: what to learn from; for "lm", none means the Python sources of the interpreter's own library.
        out: the folder of the model.
        recipe: a TOML file of options; what is given here goes before it.
        resume: go on with an interrupted run exactly where its checkpoint is; it keeps its files and options.
        overwrite: replace the model that is in the folder.
        init_from: a model's folder to start from, in place of random weights; its vocabulary and network are kept.
        seeds: train so many models, with the seeds that follow `seed`, in the folders seed-0, seed-1, …; 1 by default.
        progress: who watches; nobody by default.
        **options: the options of `recurra train`, with underscores.

    Returns:
        The trained model, or a list of them with `seeds`.

    Raises:
        InputError: something given cannot be used; nothing was changed.
        RecurraError: training failed; the last checkpoint is whole.
        recurra.training.Interrupted: Ctrl-C; a checkpoint was written.
    """
    started, out, progress = time.monotonic(), Path(out), progress or Silent()
    if task not in TASKS:
        raise InputError(f"there is no task {task!r}. {nearest(task, TASKS)}")
    row, paths = TASKS[task], [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
    if resume:
        if paths or options or recipe or init_from or overwrite or seeds is not None:
            raise InputError(f"a resumed run keeps its files and options: give only {out} and --resume")
        return _resume(row, out, progress)
    chosen = Recipe() if recipe is None else read_recipe(recipe, row)
    below, seeds = chosen.options, chosen.seeds if seeds is None else seeds
    if seeds < 1:
        raise InputError(f"seeds={seeds}: expected 1 or more")
    if init_from is not None:
        below = {**_adopt(row, Path(init_from), {**below, **options}), **below}
    made = make_options(row, options, below=below)
    bundle.check_free(out, overwrite=overwrite)
    run = _Run(row, paths or chosen.files, made, out, None if init_from is None else Path(init_from), progress, started)
    return _train(run) if seeds == 1 else _train_seeds(run, seeds)


def load(folder: str | Path, *, cell: str | Cell | type[Cell] | None = None, device: str = "cpu") -> Any:
    """The model in a folder that `recurra train` made.

    Args:
        folder: the model.
        cell: the recurrent cell, where the model was trained with a cell of somebody's own.
        device: where to put it.

    Raises:
        InputError: the folder holds no model, or one that is damaged.
    """
    return bundle.load(folder, cell=None if cell is None else find_cell(cell), device=device)


def _adopt(task: Task, folder: Path, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a trained model settles for a run that starts from it."""
    for name in chosen:
        if name in task.shape:
            raise InputError(f"{name} comes with the model in {folder}: leave it out, or train without --init-from")
    content = bundle.read_config(folder)
    if content["task"] != task.name:
        raise InputError(f"{folder}: holds a model for {content['task']!r}, expected {task.name!r}")
    settings: dict[str, Any] = bundle.load(folder).settings()
    return settings


def _train(run: _Run) -> Any:
    rank, world_size = _place()
    return _fit(run, _prepare_together(run, rank) if world_size > 1 else _prepare(run), resume=False)


def _train_seeds(run: _Run, seeds: int, *, resume: bool = False) -> list[Any]:
    """A model a seed; a resumed run goes on with the one it was at."""
    first, models, scores = run.options["training"].seed, list[Any](), list[dict[str, Any]]()
    if not resume:
        bundle.clear(run.out)
        run.out.mkdir(parents=True, exist_ok=True)
        write_recipe(run.out / bundle.RECIPE, run.task, Recipe(run.files, run.options, seeds))
    for number in range(seeds):
        options = {**run.options, "training": replace(run.options["training"], seed=first + number)}
        again = replace(run, options=options, out=run.out / f"seed-{first + number}", started=time.monotonic())
        run.progress.note(f"seed {first + number}, {number + 1} of {seeds}")
        begun = (again.out / bundle.TRAINING / "checkpoint.pt").exists()
        models.append(_resume(run.task, again.out, run.progress) if begun else _train(again))
        scores.append(bundle.read_metrics(again.out))
    told = _spread(scores)
    bundle.replace_file(run.out / bundle.SEEDS, bundle.to_json({"seeds": scores, **told}))
    for name, value in told["mean"].items():
        run.progress.note(f"{name.replace('_', ' ')} {value:.4f} ± {told['spread'][name]:.4f} over {seeds} seeds")
    return models


def _spread(scores: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over seeds of every score on held-out data."""
    names = [name for name in scores[0] if name.startswith("valid_")]
    values = {name: [score[name] for score in scores] for name in names}
    return {
        "mean": {name: statistics.fmean(numbers) for name, numbers in values.items()},
        "spread": {name: statistics.stdev(numbers) if len(numbers) > 1 else 0.0 for name, numbers in values.items()},
    }


def _resume(task: Task, out: Path, progress: Progress) -> Any:
    if not (out / bundle.RECIPE).exists():
        raise InputError(f"{out}: no {bundle.RECIPE} here, so nothing to resume. Train without --resume")
    recipe = read_recipe(out / bundle.RECIPE, task)
    run = _Run(task, recipe.files, make_options(task, recipe.options), out, None, progress, time.monotonic())
    if recipe.seeds > 1:
        return _train_seeds(run, recipe.seeds, resume=True)
    return _fit(run, task.reopen(run.options, out / bundle.TRAINING), resume=True)


def _fit(run: _Run, job: Job, *, resume: bool) -> Any:
    """Trains, keeps the best, scores it."""
    options, rank, world_size = run.options["training"], *_place()
    # The seed decides the first weights here and everything drawn later in the loop.
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        model = job.new_model()
    model.network.to(_device())
    if run.init_from is not None:
        model.network.load_state_dict(bundle.load(run.init_from).network.state_dict())
    told = {"seed": options.seed, **_lengths(options)}

    def save_best(scores: Mapping[str, float]) -> None:
        metrics = {f"valid_{name}" if name != "step" else name: value for name, value in scores.items()}
        bundle.save(run.out, model, metrics={**metrics, **told}, summary=job.summary())

    reserve = job.final_seconds(model) if options.max_minutes is not None and not resume else 0.0
    result = run_training(
        job.trainable(model, seed=options.seed, rank=rank, world_size=world_size),
        options,
        run.out / bundle.TRAINING,
        save_best=save_best,
        resume=resume,
        progress=run.progress,
        log_file=run.out / bundle.LOG,
        started=run.started - reserve,
    )
    if rank == 0:
        _finish(run, job, model, told | {"steps": result.step, "train_seconds": round(result.seconds, 1)})
    return model


def _finish(run: _Run, job: Job, model: Any, told: dict[str, Any]) -> None:
    """Takes the best weights, scores them as `recurra evaluate` would, and writes the card."""
    bundle.load_weights_into(model, run.out)
    metrics = {f"valid_{name}": value for name, value in job.final_scores(model).items()}
    machine = describe_machine()
    told |= {"threads": torch.get_num_threads(), "sgemm_gflops": machine["sgemm_gflops"]}
    bundle.save(run.out, model, metrics={**metrics, **told}, summary=job.summary())
    scores = "  ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in metrics.items())
    minutes = (time.monotonic() - run.started) / 60
    run.progress.note(f"{run.out}: {scores}  ({minutes:.1f} min, sgemm {machine['sgemm_gflops']} GFLOP/s)")


def _lengths(options: Any) -> dict[str, Any]:
    return {} if options.max_minutes is None else {"max_minutes": options.max_minutes}


def _prepare(run: _Run) -> Job:
    aside, existed = run.out / f".{bundle.TRAINING}", run.out.exists()
    like = None if run.init_from is None else bundle.load(run.init_from)
    try:
        job = run.task.prepare(run.files, run.options, aside, like)
        # Options that only the network can refuse are refused before anything older is touched.
        with torch.random.fork_rng():
            job.new_model()
    except OSError as error:
        _discard(aside, run.out, existed)
        raise RecurraError(f"{error.filename or run.out}: cannot be written ({error.strerror or error})") from error
    except BaseException:
        _discard(aside, run.out, existed)
        raise
    for line in job.notes():
        run.progress.note(line)
    bundle.clear(run.out)
    aside.rename(run.out / bundle.TRAINING)
    write_recipe(run.out / bundle.RECIPE, run.task, Recipe(run.files, run.options))
    return run.task.reopen(run.options, run.out / bundle.TRAINING)


def _prepare_together(run: _Run, rank: int) -> Job:
    from accelerate import PartialState

    state = PartialState()
    if rank == 0:
        _prepare(run)
    state.wait_for_everyone()
    return run.task.reopen(run.options, run.out / bundle.TRAINING)


def _discard(aside: Path, out: Path, existed: bool) -> None:
    shutil.rmtree(aside, ignore_errors=True)
    if not existed:
        with contextlib.suppress(OSError):
            out.rmdir()


def _place() -> tuple[int, int]:
    """The rank of this process and how many there are, as torchrun and accelerate launch say it."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def _device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")
