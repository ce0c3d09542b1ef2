"""The loop itself: update after update, and what is due in between."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from recurra.training.checkpoint import NAME
from recurra.training.generators import capture_generators, preserved_generators, restore_generators
from recurra.training.monitor import copies, is_due, update_ratios
from recurra.training.nonfinite import validation_failure
from recurra.training.recorder import Recorder
from recurra.training.session import Session
from recurra.training.signals import GivenUp, Interrupted, Interruption
from recurra.training.update import update
from recurra.training.validation import judged_by, validate

_SLOW = 0.3  # seconds; after an update that takes longer, the next one is prepared for being given up


def run(session: Session, recorder: Recorder, interruption: Interruption, *, resumed: bool) -> None:
    """Update until the plan is done, patience is out or somebody stops it.

    Raises:
        Interrupted: a signal came; the message says what the checkpoint holds.
    """
    if resumed:
        recorder.resumed()
    recorder.begin()
    session.start_clock()
    saved_at, seconds = session.clock(), 0.0
    interruption.safe = lambda: stopped_at_once(session, recorder)
    if session.owes_validation:
        _close_update(session, recorder, interruption, stops=False)
    while not session.stopped:
        learning_rate, began = session.learning_rate(), session.clock()
        _update_or_stop(session, recorder, interruption, learning_rate, can_go_back=seconds > _SLOW)
        seconds = session.clock() - began
        recorder.advance()
        stops, saves, logs = _due(session, interruption, saved_at)
        if logs:
            recorder.interval(learning_rate)
        _close_update(session, recorder, interruption, stops=stops)
        if saves and not session.stopped:
            with _paused(session):
                recorder.checkpoint()
            saved_at = session.clock()


def stopped_at_once(session: Session, recorder: Recorder) -> str:
    """What is safe where nothing more can be written."""
    if recorder.saved_step is None:
        return "stopped at once; no checkpoint was written yet"
    return (
        f"stopped at once, after update {session.step} of {session.plan.total_steps}; the checkpoint of update "
        f"{recorder.saved_step} is whole in {recorder.folder / NAME}. Go on with --resume"
    )


def _close_update(session: Session, recorder: Recorder, interruption: Interruption, *, stops: bool) -> None:
    """What is due after an update: the validation, the end of the run, or its interruption."""
    ended = session.step == session.plan.total_steps
    if session.plan.validates(session.step):
        session.owes_validation = True
        try:
            with _paused(session):
                _validate(session, recorder, ended=ended)
            session.owes_validation = False
        except GivenUp:
            interruption.protect()
            ended, stops = False, True
            session.stopped = ""
    if ended:
        session.stopped = "finished"
    if session.stopped:
        _end(session, recorder)
    elif stops or (session.processes.count == 1 and interruption.requested):
        with _paused(session):
            recorder.checkpoint()
        raise _interrupted(session, recorder)


def _update_or_stop(
    session: Session, recorder: Recorder, interruption: Interruption, learning_rate: float, *, can_go_back: bool
) -> None:
    """One update, or none: where a signal cuts it off, the run is as it was before it."""
    before = _place(session) if can_go_back else None
    try:
        _update(session, recorder, interruption, learning_rate)
    except GivenUp:
        interruption.protect()
        if before is not None:
            _return_to(session, before)
            with _paused(session):
                recorder.checkpoint()
        # Else updates took so little that the last checkpoint is as good as one of now.
        raise _interrupted(session, recorder) from None


def _interrupted(session: Session, recorder: Recorder) -> Interrupted:
    done = f"interrupted after update {session.step} of {session.plan.total_steps}"
    if recorder.saved_step == session.step:
        kept = f"everything is in {recorder.folder / NAME}"
    else:
        kept = f"the checkpoint of update {recorder.saved_step} is whole in {recorder.folder / NAME}"
    return Interrupted(f"{done}; {kept}. Go on with --resume")


def _place(session: Session) -> tuple[Any, Any, Any]:
    """What an update moves on before it has a gradient."""
    return capture_generators(), copy.deepcopy(session.trainable.updates.state_dict()), session.carry


def _return_to(session: Session, place: tuple[Any, Any, Any]) -> None:
    generators, updates, session.carry = place
    restore_generators(generators)
    session.trainable.updates.load_state_dict(updates)


def _update(session: Session, recorder: Recorder, interruption: Interruption, learning_rate: float) -> None:
    """One update, and what a monitor has to say of it."""
    step, monitor = session.step + 1, session.monitor if session.options.monitor else None
    if monitor is None or not session.processes.is_main or not (is_due(step) or session.plan.validates(step)):
        return update(session, learning_rate)
    named = [(name, value) for name, value in session.trainable.network.named_parameters() if value.requires_grad]
    before = copies(named)
    update(session, learning_rate)
    with _paused(session):
        ratios = {f"{name}/update_to_weight": ratio for name, ratio in update_ratios(before, named).items()}
        try:
            with preserved_generators(), session.giving_up():
                measured = monitor.measure()
        except GivenUp:
            interruption.protect()
        else:
            recorder.monitor(measured | ratios)
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


def _validate(session: Session, recorder: Recorder, *, ended: bool) -> None:
    """Score on held-out data; keep the best, let the plateau schedule fall, stop where patience is out.

    Raises:
        GivenUp: a signal cut the scoring off; nothing has changed.
    """
    options = session.options
    recorder.check()
    needed = options.patience is not None or options.schedule == "plateau"
    with session.average.in_place():
        metrics = validate(
            session.trainable, session.model, session.processes, needed=needed, giving_up=session.giving_up
        )
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
    if options.patience is not None and session.judge.since_best >= options.patience and not ended:
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
    try:
        yield
    finally:
        session.meter.start(session.clock())
