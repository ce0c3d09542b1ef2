"""The loop: from a task and options to trained weights, interrupted as often as need be.

Where to enter: `train` begins or resumes a session, `run.run` is the loop itself, `update.update` what it repeats.
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
from recurra.training.checkpoint import NAME, keeping_last
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
    """How a run ended.

    Attributes:
        metrics: The scores of the best validation, with the "step" after which it was; empty without held-out data.
        history: The scores of every validation, each with its "step".
        step: Updates done.
        total_steps: Updates planned.
        seconds: Trained, over all sessions of the run.
        stopped_because: "finished", or "patience": no improvement for too long.
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
    """Train a task's network, and leave it with the weights of the last update.

    A fresh run seeds Python's, NumPy's and PyTorch's generators from `options.seed` (plus the rank of the process): a
    training run owns the generators of its process. The network's initial weights are the caller's, drawn before.
    Interrupted after any update and resumed, it ends with the same bits as uninterrupted, on one machine with one
    number of threads.

    Args:
        trainable: Network, data and loss.
        options: How to train; a resumed run wants those it began with, but for how often to log and save.
        folder: Gets `checkpoint.pt`; made if need be.
        save_best: Called with the scores of a validation that is the best so far, to save the network as it then is;
            without held-out data once, at the end, with an empty dict. The best of an earlier session is not repeated.
        resume: Go on from the folder's checkpoint.
        progress: What a person sees; nothing by default.
        monitor: Measures where `options.monitor` says so, and explains a number that is not finite.
        log_file: Gets a line of JSON an interval; `log.jsonl` in the folder by default.
        extra_header: Added to the first line of the log.
        started: When `options.max_minutes` began to run, on `clock`; now by default.
        interruption: The caller's, which is open already; one of its own by default.
        clock: Seconds since some moment, never going back.

    Returns:
        Scores, history and why it ended. A run that had already ended returns at once.

    Raises:
        InputError: options that cannot be used, a folder that holds a run (or none, to resume), a damaged checkpoint.
        Interrupted: Ctrl-C or SIGTERM, acknowledged at once by a note: an update or a validation has a second to end
            and is given up then (with several processes it is waited for), and the checkpoint is written. A second
            signal ends at once, without another checkpoint. The message says what the checkpoint holds.
        RecurraError: a loss, gradient or weight that is not finite; a disk that is full. The last checkpoint is whole.
    """
    started = clock() if started is None else started
    folder, progress = Path(folder), progress or Silent()
    if options.monitor and monitor is None:
        raise InputError("monitor=True, but nothing to measure with was given: pass monitor= to train")
    with (
        _opened_interruption(interruption, progress) as stop,
        _opened(trainable, options, clock, interruption=stop) as session,
    ):
        session.monitor, keep, saved_step = monitor, 0, None
        if session.processes.count == 1:  # else the others would wait for this one for ever
            session.giving_up = stop.giving_up
        if resume:
            keep, saved_step = _restore(session, folder, progress), session.step
        else:
            _begin(session, folder, progress, started=started, interruption=stop)
        log_file = Path(log_file or folder / log.NAME)
        watched: dict[str, Any] = {"save_best": save_best, "progress": progress}
        with closing(
            Recorder(session, folder, log_file=log_file, keep=keep, saved_step=saved_step, **watched)
        ) as recorder:
            if not resume:
                recorder.header(extra_header or {})
                recorder.checkpoint()
            if not session.stopped:
                run(session, recorder, stop, resumed=resume)
    return Result(
        metrics=session.judge.metrics(),
        history=session.judge.history,
        step=session.step,
        total_steps=session.plan.total_steps,
        seconds=session.seconds,
        stopped_because=session.stopped,
    )


@contextmanager
def _opened_interruption(interruption: Interruption | None, progress: Progress) -> Iterator[Interruption]:
    with contextlib.ExitStack() as stack:
        opened = interruption or stack.enter_context(Interruption(progress.note))
        try:
            yield opened
        except GivenUp:  # while something was opened; what comes later catches it itself
            opened.protect()
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
    """Seed the process and decide the length of the run."""
    _check_empty(session, folder)
    seed_generators(session.options.seed + session.processes.rank)
    if session.options.max_minutes is None:
        session.plan = make_plan(session.options, session.trainable.updates.updates_per_epoch())
    else:
        try:
            with keeping_last(folder, None):
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
    """Make the folder, and refuse one that holds a run: a fresh one would overwrite it."""
    # The main process looks, before it writes what another process might find.
    if session.processes.agree((folder / NAME).exists()):
        raise InputError(f"{folder}: holds the checkpoint of a run. Go on with --resume, or train in another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be made ({error.strerror}). Give a folder that can be written to"
        ) from error


def _restore(session: Session, folder: Path, progress: Progress) -> int:
    """Return to the checkpoint, and say how many bytes of the log belong to it."""
    captured = read_own_checkpoint(folder, session)
    session.restore(captured)
    changed = differences(captured, session)
    if session.processes.is_main:
        if session.stopped:
            progress.note(f"{folder}: this run has ended after update {session.step}; nothing is left to train")
        elif changed:
            progress.note(f"the run goes on, but may not end in the same bits: {'; '.join(changed)}")
    return int(captured["log_bytes"])
