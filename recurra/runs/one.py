"""A run of one model: prepare the files, train, score.

During training the best model so far is saved into the folder of the run, and checkpoints into its `training/`. At the
end the best model is scored as `recurra evaluate` would, and its card is written.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch

from recurra import bundle
from recurra.diagnosis import TrainingMonitor
from recurra.recipe import write_recipe
from recurra.runs.divergence import divergence
from recurra.runs.models import named_models
from recurra.runs.run import Run, Trained, device, holding, ranks
from recurra.stopping import GivenUp, Interrupted
from recurra.tasks.implementation import Data
from recurra.tasks.job import Job
from recurra.training import describe_machine, figure
from recurra.training import train as run_training


def train_one(run: Run) -> Trained:
    """Trains a model from the beginning."""
    with holding(run, lambda: bundle.making(run.out, overwrite=run.overwrite)) as held:
        with held.interruption.giving_up(after=0):
            job = _job(held, _prepare(held))
            if ranks()[0] == 0:
                for line in job.data.notes():
                    held.progress.note(line)
                write_recipe(held.place / bundle.RECIPE, held.task, held.recipe)
        return _fit(held, job, resume=False)


def continue_one(run: Run) -> Trained:
    """Continues the training of a model from its checkpoint; the folder of the run is held."""
    with run.interruption.giving_up(after=0):
        job = _job(run, run.task.implementation.reopen(run.place / bundle.TRAINING))
    return _fit(run, job, resume=True)


def _prepare(run: Run) -> Data:
    """Checks and encodes the files; the main process does it for all."""
    rank, world_size = ranks()
    place = run.place / bundle.TRAINING
    if rank == 0:
        bundle.mark_training(run.place)
        prepare = run.task.implementation.prepare
        arguments = run.recipe.files, run.options, place
        data = prepare(*arguments, start=run.source, models=named_models(run), note=run.progress.note)
    if world_size > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()
    return data if rank == 0 else run.task.implementation.reopen(place)


def _job(run: Run, data: Data) -> Job:
    rank, world_size = ranks()
    return Job(
        run.task.implementation,
        data,
        run.options,
        device=device(),
        start=run.source,
        rank=rank,
        world_size=world_size,
    )


def _fit(run: Run, job: Job, *, resume: bool) -> Trained:
    """Trains, keeps the best model, and scores it."""
    options = run.options["training"]
    with run.interruption.giving_up(after=0):
        reserve = job.final_seconds() if options.max_minutes is not None and not resume else 0.0
    length = {} if options.max_minutes is None else {"max_minutes": options.max_minutes}
    settings = {"seed": options.seed, **length}

    def save_best(scores: Mapping[str, float]) -> None:
        metrics = {f"valid_{name}" if name != "step" else name: value for name, value in scores.items()}
        bundle.save(run.place, job.model, metrics={**metrics, **settings}, summary=job.data.summary())

    result = run_training(
        job.trainable,
        options,
        run.place / bundle.TRAINING,
        save_best=save_best,
        resume=resume,
        progress=run.progress,
        monitor=TrainingMonitor(job.trainable),
        log_file=run.place / bundle.LOG,
        started=run.started - reserve,
        interruption=run.interruption,
    )
    if ranks()[0] > 0:
        return Trained(job.model, [])
    settings |= {"steps": result.step, "train_seconds": round(result.seconds, 1)}
    return Trained(job.model, _finish(run, job, settings))


def _finish(run: Run, job: Job, settings: dict[str, Any]) -> list[str]:
    """Loads the best weights, scores them as `recurra evaluate` would, and writes the card.

    Returns:
        A message if training diverged, else nothing.
    """
    run.interruption.safe = lambda: (
        f"interrupted while the trained model was scored; {run.place} holds it with its best weights and the scores of "
        "their validation. Complete the scores with --resume"
    )
    try:
        with run.interruption.giving_up():
            bundle.load_weights_into(job.model, run.place)
            metrics = {f"valid_{name}": value for name, value in job.final_scores().items()}
            machine = describe_machine()
    except GivenUp:
        run.interruption.protect()
        raise Interrupted(run.interruption.safe()) from None
    settings |= {"threads": torch.get_num_threads(), "sgemm_gflops": machine["sgemm_gflops"]}
    bundle.save(run.place, job.model, metrics={**metrics, **settings}, summary=job.data.summary())
    scores = "  ".join(f"{name.replace('_', ' ')} {figure(value)}" for name, value in metrics.items())
    minutes = (time.monotonic() - run.started) / 60
    run.progress.note(f"{run.out}: {scores}  ({minutes:.1f} min, sgemm {machine['sgemm_gflops']} GFLOP/s)")
    return divergence(run, metrics.get("valid_loss", 0.0), job.data.uniform_loss())
