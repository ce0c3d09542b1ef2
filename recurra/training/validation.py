"""Scoring on held-out data in the course of training, and what follows from it: best, plateau, early stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from recurra.errors import InputError, RecurraError
from recurra.training.generators import preserved_generators
from recurra.training.processes import Processes
from recurra.training.task import Trainable


def judged_by(metrics: Mapping[str, float]) -> float:
    """What the best model has least of: its "error" where a task tells one, such as 1 - F1; else its loss."""
    return metrics.get("error", metrics["loss"])


@dataclass
class Judge:
    """The history of validations, the best of them, and how long ago it was.

    Attributes:
        history: The scores of each validation, with the "step" after which it was.
        best: The lowest of what is judged by; infinite before the first validation.
        best_step: After which update that was.
        since_best: Validations since then.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best: float = math.inf
    best_step: int = 0
    since_best: int = 0

    def observe(self, step: int, metrics: dict[str, float]) -> bool:
        """Take note of a validation and say whether it is the best so far."""
        self.history.append({"step": step, **metrics})
        if judged_by(metrics) < self.best:
            self.best, self.best_step, self.since_best = judged_by(metrics), step, 0
            return True
        self.since_best += 1
        return False

    def metrics(self) -> dict[str, float]:
        """The scores of the best validation; empty before the first."""
        return next((dict(scores) for scores in self.history if scores["step"] == self.best_step), {})

    def state_dict(self) -> dict[str, Any]:
        """Everything above, for a checkpoint."""
        return {
            "history": [dict(scores) for scores in self.history],
            "best": self.best,
            "best_step": self.best_step,
            "since_best": self.since_best,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to what `state_dict` gave."""
        self.history = [dict(scores) for scores in state["history"]]
        self.best, self.best_step, self.since_best = state["best"], state["best_step"], state["since_best"]


def validate(
    trainable: Trainable,
    model: nn.Module,
    processes: Processes,
    *,
    needed: bool,
    giving_up: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> dict[str, float]:
    """Scores on held-out data, without a trace in training.

    Args:
        trainable: Whose held-out data to score on.
        model: The network, as wrapped for training; in training mode again afterwards where it was before.
        processes: The scores are the mean over them.
        needed: Whether early stopping or the plateau schedule wait for a loss.
        giving_up: The context in which a signal may cut it off.

    Returns:
        What `Trainable.validate` returns.

    Raises:
        GivenUp: a signal came and the scores were not there in time.
        InputError: a loss is needed but there is none.
        RecurraError: there are scores but no loss among them.
    """
    modes = [(module, module.training) for module in model.modules()]
    with preserved_generators(), torch.no_grad():
        model.eval()
        try:
            with giving_up():
                metrics = {name: float(value) for name, value in trainable.validate(model).items()}
        finally:
            for module, training in modes:
                module.training = training
    if metrics:
        means = processes.sum(*metrics.values())
        metrics = {name: mean / processes.count for name, mean in zip(metrics, means, strict=True)}
    if needed and not metrics:
        raise InputError(
            "patience and the plateau schedule need held-out data, and there is none. Give validation data"
        )
    if metrics and "loss" not in metrics:
        raise RecurraError(
            f"validation gave {', '.join(metrics)} but no loss. Return 'loss' in nats per token, or nothing"
        )
    return metrics
