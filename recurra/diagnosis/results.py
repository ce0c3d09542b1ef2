"""The results of a diagnosis: numbers per layer, and a verdict in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recurra.diagnosis import thresholds
from recurra.diagnosis.context import Context
from recurra.diagnosis.gates import GateUse


@dataclass(frozen=True)
class Measures:
    """The measurements of one layer and direction."""

    name: str
    """The name of the layer in its network."""
    cell: str
    units: int
    """H."""
    steps: int
    """T of the longest row."""
    gradient: tuple[float, ...]
    """The mean norm of the gradient of the loss at t with respect to the state at t - k, by k."""
    exponents: tuple[float, ...]
    """The leading Lyapunov exponents, nats per step."""
    singular_values: Mapping[int, tuple[float, ...]]
    """The leading singular values of the product of Jacobians over k steps, by k."""
    gates: tuple[GateUse, ...]
    dead: float
    """The share of units whose h is always 0."""
    growth: float
    """Growth factor of the norm of h per step; 1 for a bounded state."""
    broken_from: int | None
    """The first step whose state is not finite; None if all are."""

    @property
    def left(self) -> tuple[float, ...]:
        """The gradient by lag as a share of the first nonzero one, usually that at lag 0; empty if all are 0."""
        first = next((norm for norm in self.gradient if norm), 0.0)
        return tuple(norm / first for norm in self.gradient) if first else ()

    @property
    def horizon(self) -> int:
        """The longest lag that the verdict considers."""
        return min(thresholds.HORIZON, len(self.gradient) - 1)

    @property
    def rate(self) -> float:
        """The factor of the gradient per step, from lag 1 to the horizon or to the last lag without underflow."""
        usable = [lag for lag in range(1, self.horizon + 1) if 1e-30 < self.left[lag] < 1e30] if self.left else []
        if len(usable) < 2:
            return math.nan
        first, last = usable[0], usable[-1]
        return float((self.left[last] / self.left[first]) ** (1 / (last - first)))

    @property
    def memory(self) -> int | None:
        """The first lag at which less than 1 % of the gradient is left; None if it is at no measured lag.

        Lags before the first nonzero gradient, for a loss that reads the output with a delay, are skipped.
        """
        start = next((lag for lag, share in enumerate(self.left) if share), 0)
        return next((lag for lag in range(start, len(self.left)) if self.left[lag] < thresholds.VANISHED), None)


@dataclass(frozen=True)
class Verdict:
    """The verdict on a layer."""

    kind: str
    """"vanishes", "fades", "keeps" or "explodes" for the gradient; "not finite"; "silent" if no gradient arrives;
    "too short" if the batch is."""
    text: str
    """One or more sentences with the numbers."""
    advice: tuple[str, ...]
    """Suggested changes, the most promising first; empty if none is needed."""


@dataclass(frozen=True)
class LayerDiagnosis:
    """The measurements of a layer and the verdict on it."""

    measures: Measures
    verdict: Verdict

    def __str__(self) -> str:
        advice = f" {' '.join(self.verdict.advice)}" if self.verdict.advice else ""
        return f"{self.measures.name}: {self.verdict.text}{advice}"


def describe_context(context: Context) -> str:
    """Describes the useful context in a sentence."""
    best = min(context.losses)
    gain = context.losses[0] - best
    if gain <= 0:
        return f"the loss is {best:.3f} with one step of context, and not lower with {context.steps[-1]}."
    return (
        f"the loss falls from {context.losses[0]:.3f} with one step of context to {best:.3f}; "
        f"{context.useful} steps are enough for {1 - thresholds.USEFUL:.0%} of this gain."
    )


def plain(value: Any) -> Any:
    """Converts to types that JSON supports; NaN and infinity become None."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
