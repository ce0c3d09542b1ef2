"""How many updates a run has and when it validates: decided once, kept in the checkpoint, never changed."""

from __future__ import annotations

import math
from typing import NamedTuple

from recurra.errors import InputError
from recurra.training.options import TrainingOptions

_VALIDATIONS = 10  # a run this often or oftener, so that early stopping and "best" have something to choose from
_VALIDATION_SHARE = 0.05  # of a run with a time limit that validations may take where their number is ours to choose
_RESERVE = 0.02  # of the time limit, for machines that slow down


class Plan(NamedTuple):
    """The length of a run and the updates between two validations."""

    total_steps: int
    valid_every: int

    def validates(self, step: int) -> bool:
        """Whether there is a validation after update `step` (from 1): every so often and after the last one."""
        return step % self.valid_every == 0 or step == self.total_steps

    def validations(self) -> int:
        """How many validations the whole run has."""
        return math.ceil(self.total_steps / self.valid_every)


class Costs(NamedTuple):
    """What the trial measured, in seconds: one update, one validation, one checkpoint."""

    update: float
    validation: float
    save: float


def make_plan(options: TrainingOptions, updates_per_epoch: int) -> Plan:
    """The plan of a run whose length is given in steps or epochs.

    Raises:
        InputError: no length is given, or the warm-up is not shorter than the run.
    """
    if options.steps is not None:
        return _checked(Plan(options.steps, _valid_every(options, updates_per_epoch, options.steps)), options)
    if options.epochs is None:
        raise InputError("how long to train is not said. Give one of steps, epochs and max_minutes")
    read = max(1, round(options.epochs * updates_per_epoch))
    total = max(read, options.least_steps or 1)
    # A longer run has no more validations than the epochs that were asked for.
    between = math.ceil(updates_per_epoch * total / read)
    return _checked(Plan(total, _valid_every(options, between, total)), options)


def plan_within(options: TrainingOptions, updates_per_epoch: int, costs: Costs, seconds: float) -> Plan:
    """The longest plan that fits a time.

    Args:
        options: `valid_every` is kept where given; else validations are made rarer until they take five per cent of the
            time (one, at the end, always remains).
        updates_per_epoch: Updates in one pass over the data.
        costs: What an update, a validation (with the saving of a best model) and a checkpoint take.
        seconds: What is left until the limit; two per cent of it are kept in reserve.

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
            f"{costs.update:.2g} s and a validation {costs.validation:.2g} s. Give more time or a smaller network"
        )
    fitting, beyond = 1, max(2, math.ceil(room / costs.update) + 1)
    while beyond - fitting > 1:
        middle = (fitting + beyond) // 2
        fitting, beyond = (middle, beyond) if fits(middle) else (fitting, middle)
    return _checked(candidate(fitting), options)


def _valid_every(options: TrainingOptions, most: int, total: int) -> int:
    return options.valid_every or max(1, min(most, math.ceil(total / _VALIDATIONS)))


def _checked(plan: Plan, options: TrainingOptions) -> Plan:
    if options.warmup_steps >= plan.total_steps:
        raise InputError(
            f"warmup_steps={options.warmup_steps} but the run has {plan.total_steps} updates. Give a shorter warm-up"
        )
    return plan
