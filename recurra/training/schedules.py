"""Learning rate schedules: the learning rate of each update as a share of the largest one.

During the warm-up of W updates, share = (t + 1) / W. After it, with p = (t - W) / (S - W) the progress in the rest of a
run of S updates, and f the final share:

    constant   1
    cosine     f + (1 - f) (1 + cos(pi p)) / 2      Loshchilov & Hutter 2017, SGDR, eq. 5, one period
    linear     1 - (1 - f) p
    step       max(f, decay ** floor((t - W) / n))
    plateau    max(f, decay ** number of reductions so far)

All but plateau are pure functions of t and S, so that they do not depend on a clock and need no state to resume.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Schedule:
    """A learning rate schedule.

    Attributes:
        name: One of `SCHEDULES`.
        warmup: Updates of the linear warm-up, fewer than the run has; None for `warmup_ratio` of the run.
        final: The final share of cosine and linear, and the minimum of step and plateau.
        decay: The factor of a reduction.
        every: Updates between two reductions of step; None for a tenth of the run after the warm-up.
        warmup_ratio: Share of the run, below 1, of the linear warm-up.
    """

    name: str
    warmup: int | None = 0
    final: float = 0.0
    decay: float = 0.5
    every: int | None = None
    warmup_ratio: float = 0.0

    def share(self, step: int, total: int) -> float:
        """Returns the learning rate of update `step`, from 0, of `total`, as a share of the largest one.

        Returns:
            A number from 0 to 1, by the formulas above; with the plateau schedule, `Plateau.share` multiplies it.
        """
        warmup = int(self.warmup_ratio * total) if self.warmup is None else self.warmup
        if step < warmup:
            return (step + 1) / warmup
        return SCHEDULES[self.name](self, step - warmup, total - warmup)


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
    "plateau": _constant,  # multiplied by Plateau.share
    "constant": _constant,
}
"""Maps a name to the share after the warm-up, a function of the updates since the warm-up and of their total number."""


@dataclass
class Plateau:
    """The plateau schedule: the share is multiplied by `decay` after `patience` validations without a new best.

    Attributes:
        decay: The factor of a reduction.
        patience: Consecutive validations without improvement before a reduction.
        least: The smallest share.
        share: The current share.
        best: The lowest loss so far, nats per token.
        waited: Validations since the last improvement or reduction.
    """

    decay: float
    patience: int
    least: float
    share: float = 1.0
    best: float = math.inf
    waited: int = 0

    def observe(self, loss: float) -> bool:
        """Records a validation loss (nats per token); returns whether the share was reduced."""
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
        """The state, for a checkpoint."""
        return {"share": self.share, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state returned by `state_dict`."""
        self.share, self.best, self.waited = state["share"], state["best"], state["waited"]
