"""The options of training, checked before a run starts."""

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
# The largest seed that every generator accepts without conversion.
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The options of a training run.

    Raises:
        InputError: a value is invalid; the message says what is expected.
    """

    steps: int | None = None
    """Length of the run in optimizer updates. Set one of steps, epochs and max_minutes."""
    epochs: float | None = None
    """Length of the run in passes over the training data."""
    least_steps: int | None = None
    """Minimal number of updates of a run with epochs: a small data set is read more often. Default: none if a length
    is chosen."""
    max_minutes: float | None = None
    """Length of the run in minutes: the first updates are timed, then the number of updates is fixed."""
    optimizer: str = "adamw"
    """Optimizer: adamw, adam, nadam, radam, sgd, rmsprop, adagrad or adafactor."""
    learning_rate: float = 3e-3
    """Largest learning rate, reached after the warm-up."""
    weight_decay: float = 0.01
    """Weight decay of matrices; biases, gains and other vectors are never decayed. Decoupled from the gradient in adamw
    and adafactor, added to it in the others."""
    momentum: float | None = None
    """Momentum; beta1 of adam and its variants. Default: 0.9 there, 0 for sgd and rmsprop."""
    beta2: float | None = None
    """Decay of the running mean of squared gradients. Default: 0.999 for adam and its variants, 0.99 for rmsprop."""
    schedule: str = "cosine"
    """Learning rate schedule: cosine, linear, step, plateau or constant."""
    warmup_steps: int | None = None
    """Updates over which the learning rate rises linearly at the start. Default: warmup_ratio of the run."""
    warmup_ratio: float = 0.0
    """Share of the run over which the learning rate rises linearly, if warmup_steps is not set."""
    final_learning_rate: float = 0.0
    """Final learning rate of cosine and linear, and minimum of step and plateau, as a share of learning_rate."""
    decay_every: int | None = None
    """Updates between two reductions by the step schedule. Default: a tenth of the run."""
    decay: float = 0.5
    """Factor by which the step and plateau schedules reduce the learning rate."""
    plateau_patience: int = 2
    """Consecutive validations without improvement before the plateau schedule reduces the learning rate."""
    clip: float | None = 1.0
    """Largest gradient norm (or value, see clip_by) that reaches the optimizer; none for no limit."""
    clip_by: str = "norm"
    """norm scales the whole gradient to norm clip; value clamps each entry to the range from -clip to clip."""
    valid_every: int | None = None
    """Updates between validations. Default: once per epoch and at the end, or ten times per run if that is more."""
    patience: int | None = None
    """Stop after this many consecutive validations without improvement. Default: never."""
    log_every: int | None = None
    """Updates between two lines of the log. Default: see log_every_seconds."""
    log_every_seconds: float = 5.0
    """Seconds between two lines of the log if log_every is not set."""
    checkpoint_every: float = 60.0
    """Seconds between two checkpoints."""
    seed: int = 0
    """Seed of dropout and of everything else that is random in training."""
    precision: str = "float32"
    """Precision of the computation: float32, or bfloat16 by autocast; weights keep their dtype."""
    averaging: str = "off"
    """Validate and save averaged weights: off, all (mean over the whole run), or nonmonotone (from the update at which
    validation stops improving, as AWD-LSTM with optimizer sgd and schedule constant)."""
    averaging_interval: int = 5
    """Validations without a new lowest loss after which nonmonotone averaging begins."""
    monitor: bool = False
    """At updates 1, 2, 4, 8, … and at every validation, measure the gradient by lag and the saturation of each
    recurrent layer on a probe batch, and the relative change of each weight. Takes time in addition to max_minutes."""
    tensorboard: bool = False
    """Also write the log for TensorBoard, to the folder tensorboard."""

    def __post_init__(self) -> None:
        _check_choice("optimizer", self.optimizer, OPTIMIZERS)
        _check_choice("schedule", self.schedule, SCHEDULES)
        _check_choice("clip_by", self.clip_by, CLIPPINGS)
        _check_choice("averaging", self.averaging, AVERAGINGS)
        _check_choice("precision", self.precision, PRECISIONS)
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
            _check_whole(name, getattr(self, name), least=1)
        for name in ("warmup_steps", "seed"):
            _check_whole(name, getattr(self, name), least=0)
        if self.seed > LARGEST_SEED:
            raise InputError(f"seed={self.seed}: expected a whole number from 0 to 2**63 - 1")
        for name in ("epochs", "max_minutes", "learning_rate", "clip", "log_every_seconds", "checkpoint_every"):
            _check_number(name, getattr(self, name), "above 0", lambda value: value > 0)
        _check_number("weight_decay", self.weight_decay, "of 0 or more", lambda value: value >= 0)
        for name in ("momentum", "beta2"):
            _check_number(name, getattr(self, name), "from 0 up to, not including, 1", lambda value: 0 <= value < 1)
        _check_number("final_learning_rate", self.final_learning_rate, "from 0 to 1", lambda value: 0 <= value <= 1)
        _check_number("decay", self.decay, "between 0 and 1", lambda value: 0 < value < 1)
        _check_number("warmup_ratio", self.warmup_ratio, "from 0 to below 1", lambda value: 0 <= value < 1)
        self._check_length()

    def _check_length(self) -> None:
        lengths = {name: getattr(self, name) for name in ("steps", "epochs", "max_minutes")}
        chosen = [f"{name}={value}" for name, value in lengths.items() if value is not None]
        if len(chosen) > 1:
            raise InputError(
                f"{' and '.join(chosen)}: a run has one length. Set only one of steps, epochs and max_minutes"
            )
        if self.least_steps is not None and self.epochs is None:
            raise InputError(f"least_steps={self.least_steps} requires epochs. Set epochs, or leave it out")
        if self.steps is not None and (self.warmup_steps or 0) >= self.steps:
            raise InputError(f"warmup_steps={self.warmup_steps} but steps={self.steps}: expected a shorter warm-up")


def _check_choice(name: str, value: Any, known: Any) -> None:
    if value not in known:
        raise InputError(f"{name}: {value!r} is not known. {nearest(str(value), known)}")


def _check_whole(name: str, value: Any, *, least: int) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise InputError(f"{name}={value!r}: expected a whole number of {least} or more")


def _check_number(name: str, value: Any, expected: str, holds: Any) -> None:
    if value is None:
        return
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if not (real and math.isfinite(value) and holds(value)):
        raise InputError(f"{name}={value!r}: expected a number {expected}")
