"""What the command line is a skin over: train a task on files, load a trained model.

The way of a run: options are checked, then the files; the text is encoded into `DIR/training`; the loop trains, saves
the best model so far into `DIR` and checkpoints into `DIR/training`; the best is scored once more, its card written.
"""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from recurra import bundle
from recurra.cells import Cell, find_cell
from recurra.diagnosis import TrainingMonitor
from recurra.errors import InputError, RecurraError, nearest
from recurra.files import replace_file, to_json
from recurra.recipe import Recipe, make_options, naming_keys, naming_values, read_recipe, write_recipe
from recurra.stopping import GivenUp, Interrupted, Interruption
from recurra.tasks import TASKS, Job, Task
from recurra.training import Progress, Silent, describe_machine, figure
from recurra.training import train as run_training


@dataclass(frozen=True)
class _Run:
    """One run: where it goes and what was chosen."""

    task: Task
    recipe: Recipe
    """Its files, its options by group, and what it starts from."""
    out: Path
    """The folder that was named."""
    place: Path
    """Where its files go: that folder, or one inside it while an older model stays."""
    overwrite: bool
    source: Any
    """The model that it starts from, loaded; None for random weights."""
    progress: Progress
    interruption: Interruption
    started: float

    @property
    def options(self) -> Mapping[str, Any]:
        """The options by group."""
        return self.recipe.options


class _Trained(NamedTuple):
    """What a run has trained, all of it saved."""

    model: Any
    """Or a list of them, one for each seed."""
    divergences: list[str]
    """A line for each model that is much worse than a uniform guess."""

    def checked(self) -> Any:
        """The model.

        Raises:
            RecurraError: training diverged.
        """
        if self.divergences:
            raise RecurraError(" ".join(self.divergences))
        return self.model


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
        overwrite: replace the model that is in the folder; it stays, and can be used, until the new one is complete.
        init_from: a model's folder to start from, in place of random weights; its vocabulary and network are kept.
        seeds: train so many models, with the seeds that follow `seed`, in the folders seed-0, seed-1, …; 1 by default.
        progress: who watches; nobody by default.
        **options: the options of `recurra train`, with underscores.

    Returns:
        The trained model, or a list of them with `seeds`.

    Raises:
        InputError: something given cannot be used; nothing was changed.
        RecurraError: training failed, and the last checkpoint is whole; or it ended and had diverged: the best model is
            saved, and its loss is more than twice that of a uniform guess.
        recurra.training.Interrupted: Ctrl-C or SIGTERM; the message says what is safe and how to go on.
    """
    started, out, progress = time.monotonic(), Path(out), progress or Silent()
    if task not in TASKS:
        raise InputError(f"there is no task {task!r}. {nearest(task, TASKS)}")
    row, paths = TASKS[task], [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
    if resume:
        if paths or options or recipe or init_from or overwrite or seeds is not None:
            raise InputError(f"a resumed run keeps its files and options: give only {out} and --resume")
        with _stoppable(task, out, progress) as interruption:
            return _resume(row, out, progress, interruption).checked()
    with _stoppable(task, out, progress) as interruption:
        chosen = Recipe() if recipe is None else read_recipe(recipe, row)
        from_recipe = _from_recipe(chosen, {**options, "seeds": seeds, "init_from": init_from})
        with naming_keys(recipe, row, from_recipe), naming_values({**chosen.options, **options}):
            with interruption.giving_up(after=0):
                seeds = chosen.seeds if seeds is None else seeds
                if seeds < 1:
                    raise InputError(f"seeds={seeds}: expected 1 or more")
                start = Path(init_from) if init_from is not None else chosen.init_from
                source, settled, options = _adopted(row, start, chosen.options, options)
                made = make_options(row, options, below={**settled, **chosen.options})
                if _ranks()[0] == 0:
                    bundle.check_free(out, overwrite=overwrite)
            used = Recipe(paths or chosen.files, made, seeds, start)
            run = _Run(row, used, out, out, overwrite, source, progress, interruption, started)
            return (_train(run) if seeds == 1 else _train_seeds(run)).checked()


def _from_recipe(chosen: Recipe, given: Mapping[str, Any]) -> set[str]:
    """The names of options whose values come out of a recipe."""
    return {*chosen.options, "seeds", "init_from"} - {name for name, value in given.items() if value is not None}


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


def _adopted(
    task: Task, folder: Path | None, below: Mapping[str, Any], options: dict[str, Any]
) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The model to start from, the options that it settles, and those that are left to choose."""
    if folder is None:
        return None, {}, options
    content = bundle.read_config(folder)
    if content["task"] != task.name:
        raise InputError(f"{folder}: holds a model for {content['task']!r}, expected {task.name!r}")
    # A cell of one's own is named again, because loading a model runs no code that nobody named.
    own = options.get("cell") if ":" in str(content["model"].get("network", {}).get("cell")) else None
    left = {name: value for name, value in options.items() if own is None or name != "cell"}
    source = load(folder, cell=own)
    settled = source.settings()
    for name in left.keys() | below.keys():
        # A run's own recipe repeats what the model settled.
        if name in task.shape and (name in left or settled.get(name, below[name]) != below[name]):
            value = left.get(name, below.get(name))
            raise InputError(
                f"{name}={value!r}: this comes with the model in {folder}: leave it out, or train without --init-from"
            )
    return source, settled, left


@contextlib.contextmanager
def _stoppable(task: str, out: Path, progress: Progress) -> Iterator[Interruption]:
    """Inside, Ctrl-C and SIGTERM end the run, with a line that says what is safe and how to go on."""
    with Interruption(progress.note) as interruption:
        try:
            yield interruption
        except GivenUp:
            raise Interrupted(
                _safe("interrupted before the first update of this call; nothing was changed", task, out)
            ) from None
        except Interrupted as stop:
            raise type(stop)(_safe(str(stop), task, out)) from None
        except RecurraError:
            raise
        except Exception as error:
            if not interruption.requested:
                raise
            # A library that was cut off may end in an error of its own.
            raise Interrupted(_safe("interrupted", task, out)) from error


def _safe(line: str, task: str, out: Path) -> str:
    """A line on an interruption, with the command that goes on and where the models are."""
    place = bundle.begun_place(out)
    if not bundle.has_begun(place):
        return line
    if line.endswith(" with --resume"):
        line = f"{line.removesuffix('--resume')}recurra train {task} --out {shlex.quote(str(out))} --resume"
    has_model = (place / bundle.METRICS).exists()
    if place != out:
        best = f"; the best of the new run so far is in {place}" if has_model else ""
        return f"{line}. The older model stays in {out}{best}"
    if (place / bundle.TRAINING / bundle.CHECKPOINT).exists():
        return f"{line}. {f'The best model so far is in {out}' if has_model else 'There is no model yet'}"
    return line


@contextlib.contextmanager
def _holding(run: _Run, opened: Callable[[], AbstractContextManager[Path]]) -> Iterator[_Run]:
    """The run with the place of its files, in a folder that the main process holds for all."""
    rank, world_size = _ranks()
    if rank > 0:
        yield replace(run, place=_place_of_all(run.out))
        return
    with opened() as place:
        yield replace(run, place=_place_of_all(place) if world_size > 1 else place)


def _place_of_all(place: Path) -> Path:
    """The main process's path, on every process."""
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    PartialState()
    return Path(broadcast_object_list([str(place)])[0])


def _train(run: _Run) -> _Trained:
    rank, world_size = _ranks()
    with _holding(run, lambda: bundle.making(run.out, overwrite=run.overwrite)) as held:
        with run.interruption.giving_up(after=0):
            job = _prepare_together(held, rank) if world_size > 1 else _prepare(held)
        return _fit(held, job, resume=False)


def _train_seeds(run: _Run) -> _Trained:
    """A model a seed, and the means over them."""
    with _holding(run, lambda: bundle.making(run.out, overwrite=run.overwrite)) as held:
        write_recipe(held.place / bundle.RECIPE, run.task, run.recipe)
        return _each_seed(held)


def _each_seed(run: _Run) -> _Trained:
    """Trains the seeds in turn; one that has begun goes on from where it was."""
    first, all_trained, scores = run.options["training"].seed, list[_Trained](), list[dict[str, Any]]()
    for number in range(first, first + run.recipe.seeds):
        options = {**run.options, "training": replace(run.options["training"], seed=number)}
        recipe = run.recipe._replace(options=options, seeds=1)
        out = run.place / f"seed-{number}"
        again = replace(run, recipe=recipe, out=out, place=out, overwrite=False, started=time.monotonic())
        run.progress.note(f"seed {number}, {number - first + 1} of {run.recipe.seeds}")
        begun = (again.out / bundle.TRAINING / bundle.CHECKPOINT).exists()
        all_trained.append(_resume(run.task, again.out, run.progress, run.interruption) if begun else _train(again))
        scores.append(bundle.read_metrics(again.out))
    told = _spread(scores)
    replace_file(run.place / bundle.SEEDS, to_json({"seeds": scores, **told}))
    for name, value in told["mean"].items():
        spread = told["spread"][name]
        run.progress.note(f"{name.replace('_', ' ')} {figure(value)} ± {figure(spread)} over {run.recipe.seeds} seeds")
    return _Trained(
        [trained.model for trained in all_trained], [line for trained in all_trained for line in trained.divergences]
    )


def _spread(scores: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over seeds of every score on held-out data."""
    names = [name for name in scores[0] if name.startswith("valid_")]
    values = {name: [score[name] for score in scores] for name in names}
    return {
        "mean": {name: statistics.fmean(numbers) for name, numbers in values.items()},
        "spread": {name: statistics.stdev(numbers) if len(numbers) > 1 else 0.0 for name, numbers in values.items()},
    }


def _resume(task: Task, out: Path, progress: Progress, interruption: Interruption) -> _Trained:
    if _ranks()[0] == 0:
        bundle.check_resumable(out)
    run = _Run(task, Recipe(), out, out, False, None, progress, interruption, time.monotonic())
    with _holding(run, lambda: bundle.resuming(out)) as held:
        with interruption.giving_up(after=0):
            recipe = read_recipe(held.place / bundle.RECIPE, task)
            with naming_keys(held.place / bundle.RECIPE, task, recipe.options):
                recipe = recipe._replace(options=make_options(task, recipe.options))
            held = replace(held, recipe=recipe)
            if recipe.seeds > 1:
                held = replace(held, source=_source_of_seeds(recipe))
            else:
                bundle.check_has_checkpoint(held.place)
                job = task.reopen(held.options, held.place / bundle.TRAINING)
        return _each_seed(held) if recipe.seeds > 1 else _fit(held, job, resume=True)


def _source_of_seeds(recipe: Recipe) -> Any:
    """The model that several seeds start from, loaded."""
    cell = recipe.options["network"].cell if "network" in recipe.options else None
    own = cell if cell is not None and ":" in cell else None
    return None if recipe.init_from is None else load(recipe.init_from, cell=own)


def _fit(run: _Run, job: Job, *, resume: bool) -> _Trained:
    """Trains, keeps the best, scores it."""
    options, rank, world_size = run.options["training"], *_ranks()
    with run.interruption.giving_up(after=0):
        # The seed decides the first weights here and everything drawn later in the loop.
        with torch.random.fork_rng():
            torch.manual_seed(options.seed)
            model = job.new_model()
        model.network.to(_device())
        if run.source is not None:
            model.network.load_state_dict(run.source.network.state_dict())
        reserve = job.final_seconds(model) if options.max_minutes is not None and not resume else 0.0
        trainable = job.trainable(model, seed=options.seed, rank=rank, world_size=world_size)
    told = {"seed": options.seed, **_lengths(options)}

    def save_best(scores: Mapping[str, float]) -> None:
        metrics = {f"valid_{name}" if name != "step" else name: value for name, value in scores.items()}
        bundle.save(run.place, model, metrics={**metrics, **told}, summary=job.summary())

    result = run_training(
        trainable,
        options,
        run.place / bundle.TRAINING,
        save_best=save_best,
        resume=resume,
        progress=run.progress,
        monitor=TrainingMonitor(trainable),
        log_file=run.place / bundle.LOG,
        started=run.started - reserve,
        interruption=run.interruption,
    )
    if rank == 0:
        told |= {"steps": result.step, "train_seconds": round(result.seconds, 1)}
        return _Trained(model, _finish(run, job, model, told))
    return _Trained(model, [])


def _finish(run: _Run, job: Job, model: Any, told: dict[str, Any]) -> list[str]:
    """Takes the best weights, scores them as `recurra evaluate` would, and writes the card; a line if they diverged."""
    run.interruption.safe = lambda: (
        f"interrupted while the trained model was scored; {run.place} holds it with its best weights and the scores of "
        "their validation. Complete the scores with --resume"
    )
    try:
        with run.interruption.giving_up():
            bundle.load_weights_into(model, run.place)
            metrics = {f"valid_{name}": value for name, value in job.final_scores(model).items()}
            machine = describe_machine()
    except GivenUp:
        run.interruption.protect()
        raise Interrupted(run.interruption.safe()) from None
    told |= {"threads": torch.get_num_threads(), "sgemm_gflops": machine["sgemm_gflops"]}
    bundle.save(run.place, model, metrics={**metrics, **told}, summary=job.summary())
    scores = "  ".join(f"{name.replace('_', ' ')} {figure(value)}" for name, value in metrics.items())
    minutes = (time.monotonic() - run.started) / 60
    run.progress.note(f"{run.out}: {scores}  ({minutes:.1f} min, sgemm {machine['sgemm_gflops']} GFLOP/s)")
    return _divergence(run, metrics.get("valid_loss", 0.0), job.uniform_loss())


# A model that has learned little may be a little worse than a uniform guess; one that diverged is confident and wrong.
_DIVERGED, _LEAST_UNIFORM = 2.0, math.log(2)


def _divergence(run: _Run, loss: float, uniform: float) -> list[str]:
    """Compares the loss of a model that is complete with that of a uniform guess: a notice if it is worse, a line if it
    is much worse.
    """
    uniform = max(uniform, _LEAST_UNIFORM)
    if loss <= uniform:
        return []
    comparison = f"its loss of {figure(loss)} nats is worse than the {uniform:.4f} of a uniform guess"
    advice = "Try a lower --learning-rate, --clip 1 or more --warmup-steps"
    if loss > _DIVERGED * uniform:
        return [f"{run.out}: training diverged; the best model is saved, but {comparison}. {advice}"]
    run.progress.note(f"the model learned nothing of use: {comparison}. {advice}")
    return []


def _lengths(options: Any) -> dict[str, Any]:
    return {} if options.max_minutes is None else {"max_minutes": options.max_minutes}


def _prepare(run: _Run) -> Job:
    job = run.task.prepare(run.recipe.files, run.options, run.place / bundle.TRAINING, run.source, _models(run))
    # What only the network or the windows can refuse is refused before a person is told anything else.
    with torch.random.fork_rng():
        job.trainable(job.new_model(), seed=0, rank=0, world_size=_ranks()[1])
    for line in job.notes():
        run.progress.note(line)
    write_recipe(run.place / bundle.RECIPE, run.task, run.recipe)
    return job


def _models(run: _Run) -> dict[str, Any]:
    """The models that a run's options name, loaded."""
    chosen = {name: value for group in run.options.values() for name, value in vars(group).items()}
    folders = {name: chosen[name] for name in run.task.models if chosen.get(name) is not None}
    return {name: load(folder) for name, folder in folders.items()}


def _prepare_together(run: _Run, rank: int) -> Job:
    from accelerate import PartialState

    state = PartialState()
    if rank == 0:
        _prepare(run)
    state.wait_for_everyone()
    return run.task.reopen(run.options, run.place / bundle.TRAINING)


def _ranks() -> tuple[int, int]:
    """The rank of this process and how many there are, as torchrun and accelerate launch say it."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def _device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")
