"""The loop itself: update after update, and what is due in between."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from recurra.training.checkpoint import NAME
from recurra.training.monitor import copies, is_due, update_ratios
from recurra.training.nonfinite import validation_failure
from recurra.training.recorder import Recorder
from recurra.training.session import Session
from recurra.training.signals import Interrupted, Interruption
from recurra.training.update import update
from recurra.training.validation import judged_by, validate


def run(session: Session, recorder: Recorder, interruption: Interruption, *, resumed: bool) -> None:
    """Update until the plan is done, patience is out or somebody stops it."""
    if resumed:
        recorder.resumed()
    recorder.begin()
    session.start_clock()
    saved_at = session.clock()
    while not session.stopped:
        learning_rate = session.learning_rate()
        _update(session, recorder, learning_rate)
        recorder.advance()
        stops, saves, logs = _due(session, interruption, saved_at)
        if logs:
            recorder.interval(learning_rate)
        if session.step == session.plan.total_steps:
            session.stopped = "finished"
        if session.plan.validates(session.step):
            with _paused(session):
                _validate(session, recorder)
        if session.stopped:
            _end(session, recorder)
        elif saves or stops:
            with _paused(session):
                recorder.checkpoint()
            saved_at = session.clock()
        if stops and not session.stopped:
            raise Interrupted(
                f"interrupted after update {session.step} of {session.plan.total_steps}; everything is in "
                f"{recorder.folder / NAME}. Go on with --resume"
            )


def _update(session: Session, recorder: Recorder, learning_rate: float) -> None:
    """One update, and what a monitor has to say of it."""
    step, monitor = session.step + 1, session.monitor if session.options.monitor else None
    if monitor is None or not session.processes.is_main or not (is_due(step) or session.plan.validates(step)):
        return update(session, learning_rate)
    named = [(name, value) for name, value in session.trainable.network.named_parameters() if value.requires_grad]
    before = copies(named)
    update(session, learning_rate)
    with _paused(session):
        ratios = {f"{name}/update_to_weight": ratio for name, ratio in update_ratios(before, named).items()}
        recorder.monitor(monitor.measure() | ratios)
    return None


def _due(session: Session, interruption: Interruption, saved_at: float) -> tuple[bool, bool, bool]:
    """Whether to stop, to save and to log now; the main process's clock decides for all."""
    options, now = session.options, session.clock()
    if options.log_every is not None:
        logs = session.step % options.log_every == 0
    else:
        logs = session.meter.elapsed(now) >= options.log_every_seconds
    logs = logs or session.step == session.plan.total_steps
    saves = now - saved_at >= options.checkpoint_every
    main = session.processes.is_main
    stop, save, log = session.processes.sum(interruption.requested, main and saves, main and logs)
    return stop > 0, save > 0, log > 0


def _validate(session: Session, recorder: Recorder) -> None:
    """Score on held-out data; keep the best, let the plateau schedule fall, stop where patience is out."""
    options = session.options
    recorder.check()
    needed = options.patience is not None or options.schedule == "plateau"
    with session.average.in_place():
        metrics = validate(session.trainable, session.model, session.processes, needed=needed)
        if not metrics:
            return
        if not math.isfinite(metrics["loss"]):
            raise validation_failure(session, metrics["loss"])
        best = session.judge.observe(session.step, metrics)
        recorder.validation(metrics, best=best)
    if session.average.observe(judged_by(metrics)):
        recorder.note(f"update {session.step}: validation stopped improving, the weights are averaged from here")
    if options.schedule == "plateau" and session.plateau.observe(judged_by(metrics)):
        recorder.note(f"learning rate down to {options.learning_rate * session.plateau.share:.3g}")
    if options.patience is not None and session.judge.since_best >= options.patience and not session.stopped:
        session.stopped = "patience"
        recorder.note(f"no improvement in {options.patience} validations: stopped after update {session.step}")


def _end(session: Session, recorder: Recorder) -> None:
    """Save what has to be saved at the end of a run."""
    if not session.judge.history:
        with session.average.in_place():
            recorder.save_best({})
    recorder.end(session.stopped)
    recorder.checkpoint()
    session.seconds = session.trained()


@contextmanager
def _paused(session: Session) -> Iterator[None]:
    """Time inside is not that of training in tokens per second."""
    session.meter.pause(session.clock())
    yield
    session.meter.start(session.clock())
