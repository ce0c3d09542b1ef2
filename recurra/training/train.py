"""The entry point of training: starts or resumes a session and runs the loop.

`loop.run` is the training loop, `update.update` one update.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra.errors import InputError
from recurra.training import log
from recurra.training.budget import CUT_OFF, plan_by_trial
from recurra.training.checkpoint import NAME, report_write_errors
from recurra.training.generators import seed_generators
from recurra.training.loop import run
from recurra.training.monitor import Monitor
from recurra.training.options import TrainingOptions
from recurra.training.plan import make_plan
from recurra.training.progress import Progress, Silent
from recurra.training.recorder import Recorder, SaveBest
from recurra.training.resumption import differences, read_own_checkpoint
from recurra.training.session import Session, make_session
from recurra.training.signals import GivenUp, Interrupted, Interruption
from recurra.training.task import Trainable


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of a run.

    Attributes:
        metrics: The scores of the best validation, with its "step"; empty without held-out data.
        history: The scores of every validation, each with its "step".
        step: Number of updates done.
        total_steps: Number of updates planned.
        seconds: Seconds of training, over all sessions of the run.
        stopped_because: "finished", or "patience" for early stopping.
    """

    metrics: dict[str, float]
    history: list[dict[str, float]]
    step: int
    total_steps: int
    seconds: float
    stopped_because: str


def train(
    trainable: Trainable,
    options: TrainingOptions,
    folder: str | Path,
    *,
    save_best: SaveBest,
    resume: bool = False,
    progress: Progress | None = None,
    monitor: Monitor | None = None,
    log_file: str | Path | None = None,
    extra_header: dict[str, Any] | None = None,
    started: float | None = None,
    interruption: Interruption | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """Trains a task's network, which ends with the weights of the last update.

    A new run seeds Python's, NumPy's and PyTorch's generators from `options.seed` (plus the rank of the process). The
    caller initialises the network before. A run that is interrupted after any update and resumed ends with the same
    bits as an uninterrupted one, on one machine with the same number of threads.

    Args:
        trainable: Network, data and loss.
        options: The options of training; a resumed run needs the same ones, except how often to log and save.
        folder: Folder of `checkpoint.pt`; created if it does not exist.
        save_best: Called with the scores of each validation that is the best so far, to save the current network;
            without held-out data it is called once, at the end, with an empty dict. A resumed run does not repeat the
            call for the best validation of an earlier session.
        resume: Continue from the folder's checkpoint.
        progress: Progress display; none by default.
        monitor: Measures the network if `options.monitor` is set, and explains a number that is not finite.
        log_file: Path of the log, one line of JSON per interval; `log.jsonl` in the folder by default.
        extra_header: Added to the first line of the log.
        started: When `options.max_minutes` started, on `clock`; now by default.
        interruption: The caller's open context for signals; a new one by default.
        clock: Monotonic clock in seconds.

    Returns:
        Scores, history and the reason for the end. A run that has already ended returns immediately.

    Raises:
        InputError: invalid options, a folder that already has a run (or none, to resume), or a damaged checkpoint.
        Interrupted: Ctrl-C or SIGTERM. A message acknowledges the signal immediately; an update or a validation in
            progress is aborted after a second (with several processes it is completed), and the checkpoint is written.
            A second signal ends immediately, without another checkpoint. The error's message describes the checkpoint.
        RecurraError: a loss, gradient or weight is not finite, or the disk is full. The last checkpoint is complete.
    """
    started = clock() if started is None else started
    folder, progress = Path(folder), progress or Silent()
    if options.monitor and monitor is None:
        raise InputError("monitor=True requires an object that measures: pass monitor= to train")
    with (
        _opened_interruption(interruption, progress) as stop,
        _opened(trainable, options, clock, interruption=stop) as session,
    ):
        session.monitor, keep, saved_step = monitor, 0, None
        if session.processes.count == 1:  # with several, the others would wait for this process forever
            session.giving_up = stop.giving_up
        if resume:
            keep, saved_step = _restore(session, folder, progress), session.step
        else:
            _begin(session, folder, progress, started=started, interruption=stop)
        log_file = Path(log_file or folder / log.NAME)
        recorder = Recorder(
            session,
            folder,
            log_file=log_file,
            save_best=save_best,
            progress=progress,
            keep=keep,
            saved_step=saved_step,
        )
        with closing(recorder):
            if not resume:
                recorder.header(extra_header or {})
                recorder.checkpoint()
            if not session.stopped:
                run(session, recorder, stop, resumed=resume)
    return Result(
        metrics=session.validations.metrics(),
        history=session.validations.history,
        step=session.step,
        total_steps=session.plan.total_steps,
        seconds=session.seconds,
        stopped_because=session.stopped,
    )


@contextmanager
def _opened_interruption(interruption: Interruption | None, progress: Progress) -> Iterator[Interruption]:
    with contextlib.ExitStack() as stack:
        active = interruption or stack.enter_context(Interruption(progress.note))
        try:
            yield active
        except GivenUp:  # while the session was opened; the loop catches later ones itself
            active.protect()
            raise Interrupted("interrupted before the first update of this call: nothing was changed") from None


@contextmanager
def _opened(
    trainable: Trainable, options: TrainingOptions, clock: Callable[[], float], *, interruption: Interruption
) -> Iterator[Session]:
    with interruption.giving_up(after=0):  # the first time it imports Accelerate, which takes a second or more
        session = make_session(trainable, options, clock)
    try:
        yield session
    finally:
        session.processes.release(trainable.network)


def _begin(session: Session, folder: Path, progress: Progress, *, started: float, interruption: Interruption) -> None:
    """Seeds the process and plans the run."""
    _check_empty(session, folder)
    seed_generators(session.options.seed + session.processes.rank)
    if session.options.max_minutes is None:
        session.plan = make_plan(session.options, session.trainable.updates.updates_per_epoch())
    else:
        try:
            with report_write_errors(folder, None):
                session.plan = plan_by_trial(session, folder, started=started, interruption=interruption)
        except GivenUp:
            interruption.protect()
            raise Interrupted(CUT_OFF) from None
        if session.processes.is_main:
            minutes, (total, every) = session.options.max_minutes, session.plan
            progress.note(f"{total:,} updates fit in {minutes:g} minutes; validation every {every:,}")
    session.seconds = 0.0
    session.start_clock()


def _check_empty(session: Session, folder: Path) -> None:
    """Creates the folder, and refuses one that has a run, which a new run would overwrite."""
    # Only the main process checks, because it may write the file before another process gets here.
    if session.processes.agree((folder / NAME).exists()):
        raise InputError(f"{folder}: has the checkpoint of a run. Continue with --resume, or train in another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be created ({error.strerror}). Choose a writable folder") from error


def _restore(session: Session, folder: Path, progress: Progress) -> int:
    """Restores the checkpoint; returns the length of the log at the checkpoint in bytes."""
    captured = read_own_checkpoint(folder, session)
    session.restore(captured)
    changed = differences(captured, session)
    if session.processes.is_main:
        if session.stopped:
            progress.note(f"{folder}: this run has ended after update {session.step}; nothing is left to train")
        elif changed:
            progress.note(f"the run continues, but may not end with the same bits: {'; '.join(changed)}")
    return int(captured["log_bytes"])
