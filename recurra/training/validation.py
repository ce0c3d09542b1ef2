"""Validation during training: the scores on held-out data and their history."""

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


def selection_score(metrics: Mapping[str, float]) -> float:
    """The score that selects the best model, lower is better: "error" if the task returns one, such as 1 - F1."""
    return metrics.get("error", metrics["loss"])


@dataclass
class ValidationHistory:
    """The validations of a run, and the best of them.

    Attributes:
        history: The scores of each validation, with its "step".
        best: The lowest selection score; infinite before the first validation.
        best_step: Number of updates before the best validation.
        since_best: Number of validations since the best one.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best: float = math.inf
    best_step: int = 0
    since_best: int = 0

    def observe(self, step: int, metrics: dict[str, float]) -> bool:
        """Adds a validation; returns whether it is the best so far."""
        self.history.append({"step": step, **metrics})
        if selection_score(metrics) < self.best:
            self.best, self.best_step, self.since_best = selection_score(metrics), step, 0
            return True
        self.since_best += 1
        return False

    def metrics(self) -> dict[str, float]:
        """Returns the scores of the best validation; empty before the first."""
        return next((dict(scores) for scores in self.history if scores["step"] == self.best_step), {})

    def state_dict(self) -> dict[str, Any]:
        """The state, for a checkpoint."""
        return {
            "history": [dict(scores) for scores in self.history],
            "best": self.best,
            "best_step": self.best_step,
            "since_best": self.since_best,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state returned by `state_dict`."""
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
    """Returns the scores on held-out data, without an effect on training.

    Args:
        trainable: Provides the held-out data.
        model: The network, as wrapped for training; the training mode of each module is restored.
        processes: The scores are averaged over the processes.
        needed: Whether early stopping or the plateau schedule needs a loss.
        giving_up: Context in which a signal may abort the validation.

    Returns:
        The result of `Trainable.validate`.

    Raises:
        GivenUp: a signal arrived and the validation did not end in time.
        InputError: a loss is needed but there is no held-out data.
        RecurraError: the scores do not include a loss.
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
        raise InputError("patience and the plateau schedule need held-out data, and there is none. Add validation data")
    if metrics and "loss" not in metrics:
        raise RecurraError(
            f"validation returned {', '.join(metrics)} but no loss. Return 'loss' in nats per token, or an empty dict"
        )
    return metrics
