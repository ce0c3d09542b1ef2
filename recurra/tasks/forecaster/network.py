"""The network: recurrent layers over the past, and a head that forecasts from their state.

The location of a forecast is a mixture of simple forecasts (the level, the last value, the values of the last seasons,
the same with the trend), with weights that the head computes for each step, and a correction. The network starts near
the seasonal naive forecast and learns where to deviate from it. Where the data suffice, a linear function of the last
values is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.cells import Cell, States
from recurra.data.series.layout import Covariate
from recurra.tasks.forecaster.distributions import Distribution, make_distribution
from recurra.tasks.forecaster.options import NetworkOptions

_LARGEST_EMBEDDING = 16
# Share of the series of a batch that are read without their vector, so that unknown series have a trained one.
_UNKNOWN = 0.1


@dataclass(frozen=True)
class Sizes:
    """The sizes of a network that its data determine.

    Args:
        channels: C.
        horizon: steps that the head forecasts at once.
        per_channel: inputs per step and channel.
        calendar: numbers of the calendar per step.
        candidates: n, simple forecasts.
        seasonal_naive: which of them the network starts from.
        window: L, last values that the linear part reads.
        series: number of series in the training data.
    """

    channels: int
    horizon: int
    per_channel: int
    calendar: int
    candidates: int
    seasonal_naive: int
    window: int
    series: int


class Steps(NamedTuple):
    """What a network reads, (T, B, …)."""

    values: Tensor
    """(T, B, C · per_channel)."""
    calendar: Tensor
    """(T, B, calendar)."""
    past: Tensor
    """(T, B, P), NaN where missing."""
    known: Tensor
    """(T, B, K), NaN where missing."""
    entities: Tensor
    """int64 (B,)."""


class Ahead(NamedTuple):
    """What a network reads for its forecasts from origins, any axes in front."""

    candidates: Tensor
    """(…, C, H, n)."""
    calendar: Tensor
    """(…, H, calendar)."""
    known: Tensor
    """(…, H, K), NaN where missing."""
    window: Tensor
    """(…, C, L), the last values, newest first."""


class Forecasts(NamedTuple):
    """The outputs for origins."""

    location: Tensor
    """(…, C, H)."""
    outputs: Tensor
    """(…, C, H, size of the distribution)."""


class CovariateEncoder(nn.Module):
    """Numbers of covariates: those of numeric columns as they are, categories as learned vectors; 0 where missing."""

    def __init__(self, covariates: Sequence[Covariate]) -> None:
        super().__init__()
        self._numeric = [place for place, column in enumerate(covariates) if column.categories is None]
        self._named = [place for place, column in enumerate(covariates) if column.categories is not None]
        sizes = [len(covariates[place].categories or ()) + 1 for place in self._named]
        widths = [min(_LARGEST_EMBEDDING, (size + 1) // 2 + 1) for size in sizes]
        self.embeddings = nn.ModuleList(map(nn.Embedding, sizes, widths))
        self._sizes = sizes
        self.size = 2 * len(self._numeric) + sum(widths)

    def forward(self, columns: Tensor) -> Tensor:
        """Returns (…, size) from (…, K): the numbers, whether they are present, and the vectors of categories."""
        present = columns.isfinite()
        columns = columns.nan_to_num(0.0, 0.0, 0.0)
        parts = [columns[..., self._numeric], present[..., self._numeric].to(columns)]
        for place, size, table in zip(self._named, self._sizes, self.embeddings, strict=True):
            parts.append(table(columns[..., place].long().clamp(0, size - 1)))
        return torch.cat(parts, dim=-1)


class Member(nn.Module):
    """One network of an ensemble.

    Args:
        sizes: of inputs and outputs.
        options: of the network.
        past: covariates that are known up to the present.
        known: covariates that are known for the future.
        cell: the recurrent cell; None for the one of the options.
    """

    def __init__(
        self,
        sizes: Sizes,
        options: NetworkOptions,
        past: Sequence[Covariate],
        known: Sequence[Covariate],
        cell: Cell | None = None,
    ) -> None:
        super().__init__()
        self.past, self.known = CovariateEncoder(past), CovariateEncoder(known)
        self._embeds = options.series_embedding > 0
        if self._embeds:
            self.entities = nn.Embedding(sizes.series + 1, options.series_embedding)
        inputs = sizes.channels * sizes.per_channel + sizes.calendar + self.past.size + self.known.size
        inputs += options.series_embedding
        self.layers = options.recurrent.stack(inputs, cell=cell)
        self.dropout = options.recurrent.dropout_layer()
        D = options.head_size
        self.context = nn.Linear(options.recurrent.hidden_size, D)
        self.steps = nn.Parameter(0.1 * torch.randn(sizes.channels, sizes.horizon, D))
        self.features = nn.Linear(sizes.candidates + sizes.calendar + self.known.size, D, bias=False)
        self.hidden = nn.Linear(D, D)
        self.distribution: Distribution = make_distribution(options.distribution)
        self.readout = nn.Linear(D, sizes.candidates + self.distribution.size)
        self._candidates = sizes.candidates
        # A linear forecast from the last values (the autoregressive part of LSTNet, Lai et al. 2018): a state of some
        # tens of units does not keep the last hundreds of values apart. 1/√L: one update changes all of its weights.
        self.linear = nn.Parameter(torch.zeros(sizes.horizon, sizes.window)) if sizes.window else None
        self._linear_scale = max(1, sizes.window) ** -0.5
        with torch.no_grad():
            self.readout.weight.mul_(0.3)
            self.readout.bias.zero_()
            self.readout.bias[sizes.seasonal_naive] = 2.0

    def inputs(self, steps: Steps) -> Tensor:
        """Returns the inputs of the recurrent layers, (T, B, I)."""
        parts = [steps.values, steps.calendar, self.past(steps.past), self.known(steps.known)]
        if self._embeds:
            entities = steps.entities
            if self.training:
                entities = entities.masked_fill(torch.rand(entities.shape, device=entities.device) < _UNKNOWN, 0)
            parts.append(self.entities(entities).expand(len(steps.values), -1, -1))
        return torch.cat(parts, dim=-1)

    def read(self, steps: Steps, state: States | None = None) -> tuple[Tensor, States]:
        """Returns the outputs of the last layer, (T, B, H), and the last state."""
        h, state = self.layers(self.inputs(steps), state)
        return h, state

    def forecast(self, h: Tensor, ahead: Ahead) -> Forecasts:
        """Returns forecasts from the outputs of the last layer at origins, (…, H)."""
        shared = torch.cat([ahead.calendar, self.known(ahead.known)], dim=-1)  # (…, H, ·)
        shared = shared.unsqueeze(-3).expand(*ahead.candidates.shape[:-1], -1)  # (…, C, H, ·)
        features = self.features(torch.cat([ahead.candidates.arcsinh(), shared], dim=-1))
        context = self.context(self.dropout(h))[..., None, None, :]  # (…, 1, 1, D)
        z = torch.relu(features + context + self.steps)
        # No dropout here: drawing its masks for every step of every horizon took an eighth of the training time.
        z = torch.relu(self.hidden(z))
        weights, outputs = self.readout(z).split([self._candidates, self.distribution.size], dim=-1)
        location = (weights.softmax(-1) * ahead.candidates).sum(-1)  # (…, C, H)
        if self.linear is not None:
            location = location + self._linear_scale * (ahead.window @ self.linear.T)
        return Forecasts(location, outputs)


class ForecastNetwork(nn.Module):
    """One or more networks of the same form.

    Args:
        sizes: of inputs and outputs.
        options: of the networks.
        past: covariates that are known up to the present.
        known: covariates that are known for the future.
        cell: the recurrent cell; None for the one of the options.
    """

    def __init__(
        self,
        sizes: Sizes,
        options: NetworkOptions,
        past: Sequence[Covariate] = (),
        known: Sequence[Covariate] = (),
        cell: Cell | None = None,
    ) -> None:
        super().__init__()
        members = [Member(sizes, options, past, known, cell) for _ in range(options.members)]
        self.members = nn.ModuleList(members)
        self.distribution = members[0].distribution

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    def each(self) -> list[Member]:
        """Returns the networks."""
        return [member for member in self.members if isinstance(member, Member)]

    def forward(self, steps: Steps, picks: Tensor, ahead: Ahead) -> list[Forecasts]:
        """Returns the forecasts of each member.

        Args:
            steps: of B windows.
            picks: int64 (O, B), the steps of the origins within the windows.
            ahead: (O, B, …), for the forecasts from them.
        """
        results = []
        for member in self.each():
            h, _ = member.read(steps)
            index = picks[..., None].expand(-1, -1, h.shape[-1])
            results.append(member.forecast(h.gather(0, index), ahead))
        return results
