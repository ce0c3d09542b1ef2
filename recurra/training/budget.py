"""Converts a time limit to a number of updates, once: a schedule that depended on the clock could not be resumed.

The first updates are a trial. They run on the training data with a learning rate of zero and are timed. Then weights,
optimizer, random generators, position in the data and carried state are restored exactly.
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
_WARM_UP = 3  # updates that allocate memory and select kernels; their time is not counted
_SHARE = 0.02  # of the limit, spent on the trial
_LEAST_SECONDS = 2.0  # of the trial, for a limit of more than a minute
_MOST_SHARE = 1 / 3  # of the remaining time, where ten updates would take longer than that


def plan_by_trial(session: Session, folder: Path, *, started: float, interruption: Interruption) -> Plan:
    """Measures how many updates fit in `options.max_minutes`.

    Args:
        session: A session before its first update; its state is restored exactly.
        folder: The folder of checkpoints; one is written, timed and removed.
        started: When the time limit started, on the session's clock in seconds.
        interruption: A signal ends the trial.

    Returns:
        The plan, the same on every process; the time of the trial is already subtracted.

    Raises:
        Interrupted: a signal arrived.
        GivenUp: a signal arrived and an update or a validation did not end in time.
        InputError: not even one update fits.
    """
    limit = 60 * (session.options.max_minutes or 0.0)
    before = copy.deepcopy(session.capture())
    costs = Costs(
        update=_time_updates(session, limit, limit - (session.clock() - started), interruption),
        validation=_time_validation(session, limit),
        save=_time_save(session, folder),
    )
    session.restore(before)
    _raise_if_interrupted(session, interruption)
    left = limit - (session.clock() - started)
    costs, left = session.processes.agree((costs, left))
    return plan_within(session.options, session.trainable.updates.updates_per_epoch(), costs, left)


def _time_updates(session: Session, limit: float, left: float, interruption: Interruption) -> float:
    """Median of the seconds per update after the warm-up: a mean would include interruptions by other programs."""
    least = max(_SHARE * limit, _LEAST_SECONDS if limit > 60 else 0.0)
    began = _synchronised_clock(session)
    marks = [began]
    while True:
        enough = len(marks) > _LEAST_UPDATES and marks[-1] - began >= least
        spent = len(marks) > 1 and marks[-1] - began >= _MOST_SHARE * left
        if session.processes.agree(enough or spent):
            break
        _raise_if_interrupted(session, interruption)
        update(session, learning_rate=0.0)
        marks.append(_synchronised_clock(session))
    skipped = min(_WARM_UP, len(marks) - 2)
    return statistics.median(later - earlier for earlier, later in pairwise(marks[skipped:]))


def _raise_if_interrupted(session: Session, interruption: Interruption) -> None:
    (stops,) = session.processes.sum(interruption.requested)
    if stops:
        raise Interrupted(CUT_OFF)


def _time_validation(session: Session, limit: float) -> float:
    """Seconds per validation; a second one is timed if the first was short, because the first includes compilation."""
    needed = session.options.patience is not None or session.options.schedule == "plateau"

    def once() -> float:
        began = _synchronised_clock(session)
        validate(session.trainable, session.model, session.processes, needed=needed, giving_up=session.giving_up)
        return _synchronised_clock(session) - began

    first = once()
    return once() if session.processes.agree(first < _SHARE * limit) else first


def _time_save(session: Session, folder: Path) -> float:
    began = _synchronised_clock(session)
    captured = session.capture()
    if session.processes.is_main:
        path = folder / f"{NAME}.trial"
        write_checkpoint(path, captured)
        path.unlink()
    return _synchronised_clock(session) - began


def _synchronised_clock(session: Session) -> float:
    """The clock after all work queued on the device has ended."""
    if session.device.type == "cuda":
        torch.cuda.synchronize(session.device)
    return session.clock()
