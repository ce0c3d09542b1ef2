"""The training loop: updates, and between them logging, validation and checkpoints."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from recurra.training.checkpoint import NAME
from recurra.training.generators import capture_generators, preserved_generators, restore_generators
from recurra.training.monitor import copy_parameters, is_due, update_ratios
from recurra.training.nonfinite import validation_failure
from recurra.training.recorder import Recorder
from recurra.training.session import Session
from recurra.training.signals import GivenUp, Interrupted, Interruption
from recurra.training.update import update
from recurra.training.validation import selection_score, validate

# Seconds; after a longer update, the next one is made revertible (a copy of generators and position in the data).
_SLOW = 0.3


def run(session: Session, recorder: Recorder, interruption: Interruption, *, resumed: bool) -> None:
    """Trains until the planned updates are done, early stopping ends the run, or a signal arrives.

    Raises:
        Interrupted: a signal arrived; the message says which update the checkpoint is of.
    """
    if resumed:
        recorder.resumed()
    recorder.begin()
    session.start_clock()
    saved_at, seconds = session.clock(), 0.0
    interruption.safe = lambda: stopped_at_once(session, recorder)
    if session.validation_due:
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
    """The message of a run that ends without writing another checkpoint."""
    if recorder.saved_step is None:
        return "stopped at once; no checkpoint was written yet"
    return (
        f"stopped at once, after update {session.step} of {session.plan.total_steps}; the checkpoint of update "
        f"{recorder.saved_step} is complete in {recorder.folder / NAME}. Continue with --resume"
    )


def _close_update(session: Session, recorder: Recorder, interruption: Interruption, *, stops: bool) -> None:
    """Runs what is due after an update: validation, the end of the run, or its interruption."""
    ended = session.step == session.plan.total_steps
    if session.plan.validates(session.step):
        session.validation_due = True
        try:
            with _paused(session):
                _validate(session, recorder, ended=ended)
            session.validation_due = False
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
    """Runs one update; if a signal aborts it, the state of the run is that before the update."""
    before = _position_before_update(session) if can_go_back else None
    try:
        _update(session, recorder, interruption, learning_rate)
    except GivenUp:
        interruption.protect()
        if before is not None:
            _restore_position(session, before)
            with _paused(session):
                recorder.checkpoint()
        # Otherwise updates are short, and the last checkpoint loses little.
        raise _interrupted(session, recorder) from None


def _interrupted(session: Session, recorder: Recorder) -> Interrupted:
    done = f"interrupted after update {session.step} of {session.plan.total_steps}"
    if recorder.saved_step == session.step:
        saved = f"everything is in {recorder.folder / NAME}"
    else:
        saved = f"the checkpoint of update {recorder.saved_step} is complete in {recorder.folder / NAME}"
    return Interrupted(f"{done}; {saved}. Continue with --resume")


def _position_before_update(session: Session) -> tuple[Any, Any, Any]:
    """The state that an update changes before its gradient is known."""
    return capture_generators(), copy.deepcopy(session.trainable.updates.state_dict()), session.carried_state


def _restore_position(session: Session, position: tuple[Any, Any, Any]) -> None:
    generators, updates, session.carried_state = position
    restore_generators(generators)
    session.trainable.updates.load_state_dict(updates)


def _update(session: Session, recorder: Recorder, interruption: Interruption, learning_rate: float) -> None:
    """Runs one update and, where it is due, the monitor."""
    step, monitor = session.step + 1, session.monitor if session.options.monitor else None
    if monitor is None or not session.processes.is_main or not (is_due(step) or session.plan.validates(step)):
        return update(session, learning_rate)
    trained = [(name, value) for name, value in session.trainable.network.named_parameters() if value.requires_grad]
    before = copy_parameters(trained)
    update(session, learning_rate)
    with _paused(session):
        ratios = {f"{name}/update_to_weight": ratio for name, ratio in update_ratios(before, trained).items()}
        try:
            with preserved_generators(), session.giving_up():
                measures = monitor.measure()
        except GivenUp:
            interruption.protect()
        else:
            recorder.monitor(measures | ratios)
    return None


def _due(session: Session, interruption: Interruption, saved_at: float) -> tuple[bool, bool, bool]:
    """Whether to stop, to save and to log after this update; the clock of the main process decides for all."""
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
    """Validates; saves the best model, lowers the plateau schedule's learning rate, and checks early stopping.

    Raises:
        GivenUp: a signal aborted the validation; nothing has changed.
    """
    options = session.options
    recorder.check()
    needed = options.patience is not None or options.schedule == "plateau"
    with session.average.averaged_weights():
        metrics = validate(
            session.trainable, session.model, session.processes, needed=needed, giving_up=session.giving_up
        )
        if not metrics:
            return
        if not math.isfinite(metrics["loss"]):
            raise validation_failure(session, metrics["loss"])
        best = session.validations.observe(session.step, metrics)
        recorder.validation(metrics, best=best)
    if session.average.observe(selection_score(metrics)):
        recorder.note(f"update {session.step}: validation stopped improving, weight averaging starts")
    if options.schedule == "plateau" and session.plateau.observe(selection_score(metrics)):
        recorder.note(f"learning rate lowered to {options.learning_rate * session.plateau.share:.3g}")
    if options.patience is not None and session.validations.since_best >= options.patience and not ended:
        session.stopped = "patience"
        recorder.note(f"no improvement in {options.patience} validations: stopped after update {session.step}")


def _end(session: Session, recorder: Recorder) -> None:
    """Writes the model and the last checkpoint at the end of a run."""
    if not session.validations.history:
        with session.average.averaged_weights():
            recorder.save_best({})
    recorder.end(session.stopped)
    recorder.checkpoint()
    session.seconds = session.trained()


@contextmanager
def _paused(session: Session) -> Iterator[None]:
    """Context whose time is not counted in tokens per second."""
    session.meter.pause(session.clock())
    try:
        yield
    finally:
        session.meter.start(session.clock())
