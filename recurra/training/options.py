"""How to train: every choice the loop offers, checked before anything runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from recurra.errors import InputError, nearest
from recurra.training.averaging import AVERAGINGS
from recurra.training.optimizers import OPTIMIZERS
from recurra.training.schedules import SCHEDULES

PRECISIONS = ("float32", "bfloat16")
CLIPPINGS = ("norm", "value")
# What every generator takes as it is.
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How long, how fast and how carefully to train.

    Raises:
        InputError: a value that cannot be used, with what was expected.
    """

    steps: int | None = None
    """Length of the run in optimizer updates. Give one of steps, epochs and max_minutes."""
    epochs: float | None = None
    """Length of the run in passes over the training data."""
    least_steps: int | None = None
    """The fewest updates of a run of so many epochs: a small data set is read oftener than that. Default: none where
    a length is chosen."""
    max_minutes: float | None = None
    """Length of the run in minutes: the first updates are timed, then the number of updates is fixed for good."""
    optimizer: str = "adamw"
    """The rule that turns gradients into updates: adamw, adam, nadam, radam, sgd, rmsprop, adagrad or adafactor."""
    learning_rate: float = 3e-3
    """The largest step size, reached after the warm-up."""
    weight_decay: float = 0.01
    """Pull of weight matrices towards zero; biases, gains and other vectors are never decayed. Decoupled from the
    gradient in adamw and adafactor, added to it in the others."""
    momentum: float | None = None
    """How much of the last direction is kept; the first beta of adam and its kin. Default: 0.9 there, 0 for sgd and
    rmsprop."""
    beta2: float | None = None
    """How much of the running mean of squared gradients is kept. Default: 0.999 for adam and its kin, 0.99 for
    rmsprop."""
    schedule: str = "cosine"
    """How the learning rate falls: cosine, linear, step, plateau or constant."""
    warmup_steps: int = 0
    """Updates over which the learning rate first rises linearly."""
    final_learning_rate: float = 0.0
    """Where cosine and linear end, and below which step and plateau do not go, as a share of learning_rate."""
    decay_every: int | None = None
    """Updates between two falls of the step schedule. Default: a tenth of the run."""
    decay: float = 0.5
    """What a fall of the step or plateau schedule multiplies the learning rate by."""
    plateau_patience: int = 2
    """Validations in a row without improvement after which the plateau schedule falls."""
    clip: float | None = 1.0
    """Largest gradient norm (or value, see clip_by) that reaches the optimizer; none for no limit."""
    clip_by: str = "norm"
    """Scale the whole gradient to norm clip, or cut each entry to the range from -clip to clip by value."""
    valid_every: int | None = None
    """Updates between validations. Default: once an epoch and at the end, and ten times a run where that is more."""
    patience: int | None = None
    """Stop after this many validations in a row without improvement. Default: never."""
    log_every: int | None = None
    """Updates between two lines of the log. Default: see log_every_seconds."""
    log_every_seconds: float = 5.0
    """Seconds between two lines of the log, where log_every is not given."""
    checkpoint_every: float = 60.0
    """Seconds between two checkpoints."""
    seed: int = 0
    """Seed of dropout and of whatever else is drawn while training."""
    precision: str = "float32"
    """Numbers the network computes with: float32, or bfloat16 by autocast; weights stay as they are."""
    averaging: str = "off"
    """Validate and save the mean of the weights: off, all (over the whole run), or nonmonotone (from where validation
    stops improving, as AWD-LSTM with optimizer sgd and schedule constant)."""
    averaging_interval: int = 5
    """Validations without a new lowest loss after which nonmonotone averaging begins."""
    monitor: bool = False
    """Measure, at updates 1, 2, 4, 8, … and at every validation, the gradient by lag and the saturation of each
    recurrent layer on a probe batch, and how far the update moved each weight. Takes time on top of max_minutes."""
    tensorboard: bool = False
    """Also write the log for TensorBoard, to the folder tensorboard."""

    def __post_init__(self) -> None:
        _known("optimizer", self.optimizer, OPTIMIZERS)
        _known("schedule", self.schedule, SCHEDULES)
        _known("clip_by", self.clip_by, CLIPPINGS)
        _known("averaging", self.averaging, AVERAGINGS)
        _known("precision", self.precision, PRECISIONS)
        for name in (
            "steps",
            "least_steps",
            "decay_every",
            "plateau_patience",
            "averaging_interval",
            "valid_every",
            "patience",
            "log_every",
        ):
            _whole(name, getattr(self, name), least=1)
        for name in ("warmup_steps", "seed"):
            _whole(name, getattr(self, name), least=0)
        if self.seed > LARGEST_SEED:
            raise InputError(f"seed={self.seed}: expected a whole number from 0 to 2**63 - 1")
        for name in ("epochs", "max_minutes", "learning_rate", "clip", "log_every_seconds", "checkpoint_every"):
            _number(name, getattr(self, name), "above 0", lambda value: value > 0)
        _number("weight_decay", self.weight_decay, "of 0 or more", lambda value: value >= 0)
        for name in ("momentum", "beta2"):
            _number(name, getattr(self, name), "from 0 up to, not including, 1", lambda value: 0 <= value < 1)
        _number("final_learning_rate", self.final_learning_rate, "from 0 to 1", lambda value: 0 <= value <= 1)
        _number("decay", self.decay, "between 0 and 1", lambda value: 0 < value < 1)
        self._check_length()

    def _check_length(self) -> None:
        lengths = {name: getattr(self, name) for name in ("steps", "epochs", "max_minutes")}
        given = [f"{name}={value}" for name, value in lengths.items() if value is not None]
        if len(given) > 1:
            raise InputError(f"{' and '.join(given)}: a run has one length. Give steps, epochs or max_minutes, not two")
        if self.least_steps is not None and self.epochs is None:
            raise InputError(f"least_steps={self.least_steps} is for runs of some epochs. Give epochs, or leave it out")
        if self.steps is not None and self.warmup_steps >= self.steps:
            raise InputError(f"warmup_steps={self.warmup_steps} but steps={self.steps}: expected a shorter warm-up")


def _known(name: str, value: Any, known: Any) -> None:
    if value not in known:
        raise InputError(f"{name}: {value!r} is not known. {nearest(str(value), known)}")


def _whole(name: str, value: Any, *, least: int) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise InputError(f"{name}={value!r}: expected a whole number of {least} or more")


def _number(name: str, value: Any, expected: str, holds: Any) -> None:
    if value is None:
        return
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if not (real and math.isfinite(value) and holds(value)):
        raise InputError(f"{name}={value!r}: expected a number {expected}")
