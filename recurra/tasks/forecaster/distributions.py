"""Distributions of forecasts: parameters from the network, the loss, quantiles, the mean and samples.

Everything is in units of the level and the scale of the origin, except for counts, which have no other unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.distributions import NegativeBinomial as _TorchNegativeBinomial
from torch.distributions import StudentT as _TorchStudentT
from torch.nn import functional as F

from recurra.errors import InputError, nearest

LEVELS = (0.025, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.975)
"""The quantiles of a forecast."""
MEDIAN = LEVELS.index(0.5)
# A series that was constant for long has a tiny scale: its first change would outweigh all other losses.
_LIMIT = 50.0
_NORMAL = torch.distributions.Normal(0.0, 1.0)


class Distribution(Protocol):
    """What the outputs of a network mean.

    `location` (…) is the forecast of the network, `outputs` (…, size) its further outputs, `level` and `scale` (…)
    those of the origin in the units of the data.
    """

    size: int
    """Outputs of the network besides the location."""
    limit: float
    """Largest distance of a target from the level, in scales, that the loss counts."""

    def loss(self, target: Tensor, location: Tensor, outputs: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        """Returns the loss of each target, (…); targets are (y - level) / scale."""
        ...

    def quantiles(self, location: Tensor, outputs: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        """Returns the quantiles `LEVELS`, (…, Q), relative to level and scale."""
        ...

    def sample(
        self, location: Tensor, outputs: Tensor, level: Tensor, scale: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Returns a random value of each, (…), relative to level and scale."""
        ...


def _interval(raw: Tensor) -> Tensor:
    """A standard deviation above 0, 1 for an output of 0."""
    return F.softplus(raw + math.log(math.e - 1)) + 1e-4


class Quantiles:
    """Quantiles without a formula of the density, trained by the pinball loss (Koenker & Bassett 1978)."""

    def __init__(self) -> None:
        self.size, self.limit = len(LEVELS), _LIMIT
        normal = _NORMAL.icdf(torch.tensor(LEVELS))
        self._gaps = normal.diff()
        self._levels = torch.tensor(LEVELS)

    def quantiles(self, location: Tensor, outputs: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        """Returns the quantiles: the median, and distances from it that are positive, so that none cross."""
        steps = F.softplus(outputs[..., 1:]) * self._gaps.to(outputs)
        upper, lower = steps[..., MEDIAN:], steps[..., :MEDIAN]
        median = (location + outputs[..., 0])[..., None]
        below = median - lower.flip(-1).cumsum(-1).flip(-1)
        return torch.cat([below, median, median + upper.cumsum(-1)], dim=-1)

    def loss(self, target: Tensor, location: Tensor, outputs: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        """Returns twice the mean pinball loss over the levels, which approximates the CRPS."""
        error = target[..., None] - self.quantiles(location, outputs, level, scale)
        levels = self._levels.to(error)
        loss: Tensor = 2 * torch.maximum(levels * error, (levels - 1) * error).mean(-1)
        return loss

    def sample(
        self, location: Tensor, outputs: Tensor, level: Tensor, scale: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Returns values between the quantiles, drawn uniformly in probability."""
        quantiles = self.quantiles(location, outputs, level, scale)
        u = torch.rand(location.shape, generator=generator) * (LEVELS[-1] - LEVELS[0]) + LEVELS[0]
        above = torch.searchsorted(self._levels, u).clamp(1, len(LEVELS) - 1)
        low, high = self._levels[above - 1], self._levels[above]
        share = (u - low) / (high - low)
        q_low = quantiles.gather(-1, (above - 1)[..., None])[..., 0]
        q_high = quantiles.gather(-1, above[..., None])[..., 0]
        drawn: Tensor = q_low + share * (q_high - q_low)
        return drawn


class Normal:
    """The normal distribution."""

    size, limit = 2, _LIMIT

    def _parameters(self, location: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
        return location + outputs[..., 0], _interval(outputs[..., 1])

    def loss(self, target: Tensor, location: Tensor, outputs: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        """Returns -log p in nats."""
        mean, deviation = self._parameters(location, outputs)
        return 0.5 * ((target - mean) / deviation) ** 2 + deviation.log() + 0.5 * math.log(2 * math.pi)

    def quantiles(self, location: Tensor, outputs: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        """Returns the quantiles."""
        mean, deviation = self._parameters(location, outputs)
        z: Tensor = _NORMAL.icdf(torch.tensor(LEVELS)).to(mean)
        return mean[..., None] + deviation[..., None] * z

    def sample(
        self, location: Tensor, outputs: Tensor, level: Tensor, scale: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Returns random values."""
        mean, deviation = self._parameters(location, outputs)
        return mean + deviation * torch.randn(mean.shape, generator=generator)


class StudentT:
    """Student's t distribution, for values with outliers; its degrees of freedom are above 2."""

    size, limit = 3, _LIMIT

    def _distribution(self, location: Tensor, outputs: Tensor) -> _TorchStudentT:
        degrees = 2 + F.softplus(outputs[..., 2] + 2) + 1e-2
        return _TorchStudentT(degrees, location + outputs[..., 0], _interval(outputs[..., 1]), validate_args=False)

    def loss(self, target: Tensor, location: Tensor, outputs: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        """Returns -log p in nats."""
        loss: Tensor = -self._distribution(location, outputs).log_prob(target)
        return loss

    def quantiles(self, location: Tensor, outputs: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        """Returns the quantiles."""
        distribution = self._distribution(location, outputs)
        return distribution.loc[..., None] + distribution.scale[..., None] * student_quantiles(distribution.df)

    def sample(
        self, location: Tensor, outputs: Tensor, level: Tensor, scale: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Returns random values: a normal one divided by the root of a chi-squared one over its degrees of freedom."""
        distribution = self._distribution(location, outputs)
        normal = torch.randn(location.shape, generator=generator)
        chi = 2 * torch._standard_gamma(distribution.df / 2, generator=generator)
        result: Tensor = distribution.loc + distribution.scale * normal * (distribution.df / chi).sqrt()
        return result


def student_quantiles(degrees: Tensor) -> Tensor:
    """Quantiles of Student's t, (…, Q), by the expansion of Cornish and Fisher in 1/degrees (Hill 1970)."""
    z = _NORMAL.icdf(torch.tensor(LEVELS, dtype=torch.float64)).to(degrees)
    v = degrees[..., None]
    z3, z5, z7, z9 = z**3, z**5, z**7, z**9
    terms = (
        (z3 + z) / 4,
        (5 * z5 + 16 * z3 + 3 * z) / 96,
        (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / 384,
        (79 * z9 + 776 * z7 + 1482 * z5 - 1920 * z3 - 945 * z) / 92160,
    )
    corrections = torch.stack([term / v ** (power + 1) for power, term in enumerate(terms)])
    quantiles: Tensor = z + corrections.sum(0)
    return quantiles


class NegativeBinomial:
    """The negative binomial distribution, for counts: mean μ, variance μ + α μ²."""

    # The scale of a series of zeros is tiny, and its first count is many scales away: no limit.
    size, limit = 2, math.inf

    def _distribution(
        self, location: Tensor, outputs: Tensor, level: Tensor, scale: Tensor
    ) -> tuple[Tensor, Tensor, _TorchNegativeBinomial]:
        mean = scale * F.softplus(level / scale + location + outputs[..., 0]) + 1e-6
        number = 1 / (F.softplus(outputs[..., 1]) + 1e-4)  # r = 1/α
        logits = mean.log() - number.log()
        return mean, number, _TorchNegativeBinomial(number, logits=logits, validate_args=False)

    def loss(self, target: Tensor, location: Tensor, outputs: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        """Returns -log p in nats."""
        counts = (target * scale + level).round().clamp(min=0)
        loss: Tensor = -self._distribution(location, outputs, level, scale)[2].log_prob(counts)
        return loss

    def quantiles(self, location: Tensor, outputs: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        """Returns the quantiles of 500 samples with fixed random numbers, so that they are reproducible."""
        generator = torch.Generator().manual_seed(0)
        mean, number, _ = self._distribution(location, outputs, level, scale)
        counts = torch.stack([_draw_counts(mean, number, generator) for _ in range(500)])
        quantiles = torch.quantile(counts, torch.tensor(LEVELS).to(counts), dim=0, interpolation="nearest")
        return ((quantiles - level) / scale).movedim(0, -1)

    def sample(
        self, location: Tensor, outputs: Tensor, level: Tensor, scale: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Returns random counts, relative to level and scale."""
        mean, number, _ = self._distribution(location, outputs, level, scale)
        return (_draw_counts(mean, number, generator) - level) / scale


def _draw_counts(mean: Tensor, number: Tensor, generator: torch.Generator) -> Tensor:
    """Draws from a Poisson distribution whose rate is gamma distributed."""
    rate = torch._standard_gamma(number, generator=generator) * mean / number
    return torch.poisson(rate, generator=generator)


DISTRIBUTIONS: dict[str, Callable[[], Distribution]] = {
    "quantiles": Quantiles,
    "normal": Normal,
    "student": StudentT,
    "negative-binomial": NegativeBinomial,
}


def make_distribution(name: str) -> Distribution:
    """Returns a distribution by its name.

    Raises:
        InputError: the name is unknown.
    """
    if name not in DISTRIBUTIONS:
        raise InputError(f"there is no distribution {name!r}. {nearest(name, DISTRIBUTIONS)}")
    return DISTRIBUTIONS[name]()
