"""The learning rate of each update, as a share of the largest one.

After a linear warm-up, share = (t + 1) / W for the W updates t < W, let p = (t - W) / (S - W) be the part of the
remaining run of S updates that is done, and f the final share:

    constant   1
    cosine     f + (1 - f) (1 + cos(pi p)) / 2      Loshchilov & Hutter 2017, SGDR, eq. 5, one period
    linear     1 - (1 - f) p
    step       max(f, decay ** floor((t - W) / n))
    plateau    max(f, decay ** falls so far)

All but plateau are pure functions of t and S, so that they never depend on a clock and resume by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Schedule:
    """How the learning rate goes in a run.

    Attributes:
        name: One of `SCHEDULES`.
        warmup: Updates of linear rise, fewer than the run has.
        final: The share at which cosine and linear end and below which step and plateau do not go.
        decay: What a fall multiplies the share by.
        every: Updates between two falls of step; None for a tenth of what follows the warm-up.
    """

    name: str
    warmup: int = 0
    final: float = 0.0
    decay: float = 0.5
    every: int | None = None

    def share(self, step: int, total: int) -> float:
        """The learning rate of update `step`, from 0, of `total`, as a share of the largest, by the formulas above.

        Returns:
            A number from 0 to 1; `Plateau.share` multiplies it under the plateau schedule.
        """
        if step < self.warmup:
            return (step + 1) / self.warmup
        return SCHEDULES[self.name](self, step - self.warmup, total - self.warmup)


def _constant(schedule: Schedule, done: int, total: int) -> float:
    return 1.0


def _cosine(schedule: Schedule, done: int, total: int) -> float:
    return schedule.final + (1 - schedule.final) * (1 + math.cos(math.pi * done / total)) / 2


def _linear(schedule: Schedule, done: int, total: int) -> float:
    return 1 - (1 - schedule.final) * done / total


def _step(schedule: Schedule, done: int, total: int) -> float:
    every = schedule.every or math.ceil(total / 10)
    return max(schedule.final, float(schedule.decay ** (done // every)))


SCHEDULES: dict[str, Callable[[Schedule, int, int], float]] = {
    "cosine": _cosine,
    "linear": _linear,
    "step": _step,
    "plateau": _constant,  # falls by what validation says: Plateau
    "constant": _constant,
}
"""Name to the share after the warm-up, from the updates done since then and their number in the run."""


@dataclass
class Plateau:
    """The share that the plateau schedule has fallen to: times `decay` after `patience` validations without a new best.

    Attributes:
        decay: What a fall multiplies the share by.
        patience: Validations in a row without improvement before a fall.
        least: The share below which it does not fall.
        share: The share now.
        best: The lowest loss seen, nats per token.
        waited: Validations since the last improvement or fall.
    """

    decay: float
    patience: int
    least: float
    share: float = 1.0
    best: float = math.inf
    waited: int = 0

    def observe(self, loss: float) -> bool:
        """Take note of a validation loss (nats per token), and say whether the share fell."""
        if loss < self.best:
            self.best, self.waited = loss, 0
            return False
        self.waited += 1
        if self.waited < self.patience:
            return False
        before, self.waited = self.share, 0
        self.share = max(self.least, self.share * self.decay)
        return self.share < before

    def state_dict(self) -> dict[str, Any]:
        """What changes in the course of a run."""
        return {"share": self.share, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to what `state_dict` gave."""
        self.share, self.best, self.waited = state["share"], state["best"], state["waited"]
