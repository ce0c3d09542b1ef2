"""The number of updates of a run and of its validations: fixed once and stored in the checkpoint."""

from __future__ import annotations

import math
from typing import NamedTuple

from recurra.errors import InputError
from recurra.training.options import TrainingOptions

_VALIDATIONS = 10  # per run, at least, so that early stopping and the choice of the best model have candidates
_VALIDATION_SHARE = 0.05  # of a run with a time limit, for validations, unless valid_every is set
_RESERVE = 0.02  # of the time limit, for machines that slow down


class Plan(NamedTuple):
    """The length of a run and the updates between two validations."""

    total_steps: int
    valid_every: int

    def validates(self, step: int) -> bool:
        """Whether a validation follows update `step` (from 1): every `valid_every` updates and after the last one."""
        return step % self.valid_every == 0 or step == self.total_steps

    def validations(self) -> int:
        """How many validations the whole run has."""
        return math.ceil(self.total_steps / self.valid_every)


class Costs(NamedTuple):
    """Seconds of one update, one validation and one checkpoint, measured in the trial."""

    update: float
    validation: float
    save: float


def make_plan(options: TrainingOptions, updates_per_epoch: int) -> Plan:
    """Returns the plan of a run with a length in steps or epochs.

    Raises:
        InputError: no length is set, or the warm-up is not shorter than the run.
    """
    if options.steps is not None:
        return _checked(Plan(options.steps, _valid_every(options, updates_per_epoch, options.steps)), options)
    if options.epochs is None:
        raise InputError("the run has no length. Set one of steps, epochs and max_minutes")
    requested = max(1, round(options.epochs * updates_per_epoch))
    total = max(requested, options.least_steps or 1)
    # If least_steps makes the run longer, the number of validations stays that of the requested epochs.
    between = math.ceil(updates_per_epoch * total / requested)
    return _checked(Plan(total, _valid_every(options, between, total)), options)


def plan_within(options: TrainingOptions, updates_per_epoch: int, costs: Costs, seconds: float) -> Plan:
    """Returns the longest plan that fits in a time.

    Args:
        options: `valid_every` is kept if set; otherwise validations are made less frequent until they take five per
            cent of the time (the one at the end always remains).
        updates_per_epoch: Updates in one pass over the data.
        costs: Seconds of an update, a validation (saving the best model included) and a checkpoint.
        seconds: Seconds until the limit; two per cent of them are reserved.

    Raises:
        InputError: not even one update with its validation and checkpoint fits, or the warm-up is not shorter.
    """
    saves = seconds / options.checkpoint_every + 2
    room = seconds * (1 - _RESERVE) - saves * costs.save

    def candidate(total: int) -> Plan:
        every = _valid_every(options, updates_per_epoch, total)
        if options.valid_every is None:
            affordable = max(1, int(seconds * _VALIDATION_SHARE / costs.validation)) if costs.validation > 0 else total
            every = max(every, math.ceil(total / affordable))
        return Plan(total, every)

    def fits(total: int) -> bool:
        return total * costs.update + candidate(total).validations() * (costs.validation + costs.save) <= room

    if not fits(1):
        raise InputError(
            f"max_minutes={options.max_minutes:g}: {max(seconds, 0):.1f} s are left of it, but an update takes "
            f"{costs.update:.2g} s and a validation {costs.validation:.2g} s. Increase max_minutes or use a smaller "
            "network"
        )
    # Bisection: `low` updates fit, `high` do not.
    low, high = 1, max(2, math.ceil(room / costs.update) + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return _checked(candidate(low), options)


def _valid_every(options: TrainingOptions, most: int, total: int) -> int:
    return options.valid_every or max(1, min(most, math.ceil(total / _VALIDATIONS)))


def _checked(plan: Plan, options: TrainingOptions) -> Plan:
    if (options.warmup_steps or 0) >= plan.total_steps:
        raise InputError(
            f"warmup_steps={options.warmup_steps} but the run has {plan.total_steps} updates. Use a shorter warm-up"
        )
    return plan
