"""A time limit turned into a number of updates, once: a schedule must not hang on the clock.

The first updates are a trial. They run on the real data with the learning rate at zero, are timed, and are then undone:
weights, optimizer, random generators, place in the data and carried state are put back to the bit.
"""

from __future__ import annotations

import copy
import statistics
from itertools import pairwise
from pathlib import Path

import torch

from recurra.training.checkpoint import NAME, write_checkpoint
from recurra.training.plan import Costs, Plan, plan_within
from recurra.training.session import Session
from recurra.training.signals import Interrupted, Interruption
from recurra.training.update import update
from recurra.training.validation import validate

CUT_OFF = "interrupted while the first updates were timed: nothing was trained yet, nothing saved"
_LEAST_UPDATES = 10
_WARM_UP = 3  # updates that allocate memory and choose kernels, and count for nothing
_SHARE = 0.02  # of the limit
_LEAST_SECONDS = 2.0  # for a limit of more than a minute
_MOST_SHARE = 1 / 3  # of what is left, should ten updates take longer than that


def plan_by_trial(session: Session, folder: Path, *, started: float, interruption: Interruption) -> Plan:
    """How many updates fit in `options.max_minutes`.

    Args:
        session: At its beginning; the same to the bit afterwards.
        folder: Where checkpoints go; one is written on trial, timed and removed.
        started: When the limit began to run, on the session's clock in seconds.
        interruption: A signal ends the trial.

    Returns:
        The plan, the same on every process, with what the trial itself took already subtracted.

    Raises:
        Interrupted: a signal came.
        GivenUp: a signal came and an update or a validation did not end in time.
        InputError: nothing fits.
    """
    limit = 60 * (session.options.max_minutes or 0.0)
    before = copy.deepcopy(session.capture())
    costs = Costs(
        update=_time_updates(session, limit, limit - (session.clock() - started), interruption),
        validation=_time_validation(session, limit),
        save=_time_save(session, folder),
    )
    session.restore(before)
    _stop_if_asked(session, interruption)
    left = limit - (session.clock() - started)
    costs, left = session.processes.agree((costs, left))
    return plan_within(session.options, session.trainable.updates.updates_per_epoch(), costs, left)


def _time_updates(session: Session, limit: float, left: float, interruption: Interruption) -> float:
    """Seconds an update takes once warm, the median: what else the machine does for a moment has no say for hours."""
    least = max(_SHARE * limit, _LEAST_SECONDS if limit > 60 else 0.0)
    began = _now(session)
    marks = [began]
    while True:
        enough = len(marks) > _LEAST_UPDATES and marks[-1] - began >= least
        spent = len(marks) > 1 and marks[-1] - began >= _MOST_SHARE * left
        if session.processes.agree(enough or spent):
            break
        _stop_if_asked(session, interruption)
        update(session, learning_rate=0.0)
        marks.append(_now(session))
    skipped = min(_WARM_UP, len(marks) - 2)
    return statistics.median(later - earlier for earlier, later in pairwise(marks[skipped:]))


def _stop_if_asked(session: Session, interruption: Interruption) -> None:
    (stops,) = session.processes.sum(interruption.requested)
    if stops:
        raise Interrupted(CUT_OFF)


def _time_validation(session: Session, limit: float) -> float:
    """Seconds a validation takes: the second one where that costs little, because the first also compiles."""
    needed = session.options.patience is not None or session.options.schedule == "plateau"

    def once() -> float:
        began = _now(session)
        validate(session.trainable, session.model, session.processes, needed=needed, giving_up=session.giving_up)
        return _now(session) - began

    first = once()
    return once() if session.processes.agree(first < _SHARE * limit) else first


def _time_save(session: Session, folder: Path) -> float:
    began = _now(session)
    captured = session.capture()
    if session.processes.is_main:
        path = folder / f"{NAME}.trial"
        write_checkpoint(path, captured)
        path.unlink()
    return _now(session) - began


def _now(session: Session) -> float:
    """The clock, once the device has done what was asked of it."""
    if session.device.type == "cuda":
        torch.cuda.synchronize(session.device)
    return session.clock()
