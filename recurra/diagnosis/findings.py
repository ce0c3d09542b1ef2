"""What a diagnosis found: numbers a layer, and a verdict in words."""

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
    """The numbers of one layer and direction."""

    name: str
    """Of the layer in its network."""
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
    """The leading ones of the product of Jacobians over k steps, by k."""
    gates: tuple[GateUse, ...]
    dead: float
    """The share of units whose h is always 0."""
    growth: float
    """What the norm of h is multiplied by a step, on the whole: 1 for a bounded state."""
    broken_from: int | None
    """The first step whose state is not finite."""

    @property
    def left(self) -> tuple[float, ...]:
        """The gradient by lag as a share of that at lag 0, or at the first lag that has one; empty where none has."""
        first = next((norm for norm in self.gradient if norm), 0.0)
        return tuple(norm / first for norm in self.gradient) if first else ()

    @property
    def horizon(self) -> int:
        """The longest lag that is judged."""
        return min(thresholds.HORIZON, len(self.gradient) - 1)

    @property
    def rate(self) -> float:
        """What the gradient is multiplied by a step, from lag 1 to the horizon or to where numbers end."""
        usable = [lag for lag in range(1, self.horizon + 1) if 1e-30 < self.left[lag] < 1e30] if self.left else []
        if len(usable) < 2:
            return math.nan
        first, last = usable[0], usable[-1]
        return float((self.left[last] / self.left[first]) ** (1 / (last - first)))

    @property
    def memory(self) -> int | None:
        """The first lag at which less than 1 % of the gradient is left; None where that is not so at any measured.

        Lags before the first that has a gradient, of a loss that reads late, are passed over.
        """
        start = next((lag for lag, share in enumerate(self.left) if share), 0)
        return next((lag for lag in range(start, len(self.left)) if self.left[lag] < thresholds.VANISHED), None)


@dataclass(frozen=True)
class Verdict:
    """What is to be thought of a layer."""

    kind: str
    """"vanishes", "fades", "keeps" or "explodes" of the gradient; "not finite"; "silent" where no gradient arrives;
    "too short" to tell."""
    text: str
    """One sentence or more with the numbers they rest on."""
    advice: tuple[str, ...]
    """What to change, the likeliest first; empty where nothing need be."""


@dataclass(frozen=True)
class Layer:
    """A layer's numbers and what is to be thought of them."""

    measures: Measures
    verdict: Verdict

    def __str__(self) -> str:
        advice = f" {' '.join(self.verdict.advice)}" if self.verdict.advice else ""
        return f"{self.measures.name}: {self.verdict.text}{advice}"


def context_in_words(context: Context) -> str:
    """How much context the network makes use of, in a sentence."""
    best = min(context.losses)
    gain = context.losses[0] - best
    if gain <= 0:
        return f"the loss is {best:.3f} with one step of context, and no better with {context.steps[-1]}."
    return (
        f"the loss falls from {context.losses[0]:.3f} with one step of context to {best:.3f}; "
        f"{context.useful} steps are enough for {1 - thresholds.USEFUL:.0%} of that."
    )


def plain(value: Any) -> Any:
    """As JSON can hold it; numbers that are not finite are None."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
