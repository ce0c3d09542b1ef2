"""Forecasts from many origins of many series: each series is read once, however many origins it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.cells import States
from recurra.tasks.forecaster.distributions import LEVELS
from recurra.tasks.forecaster.history import History
from recurra.tasks.forecaster.inputs import Inputs
from recurra.tasks.forecaster.network import ForecastNetwork, Forecasts
from recurra.tasks.forecaster.transform import invert
from recurra.tasks.forecaster.windows import look_ahead, read_steps

Ids = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
# Steps of all rows that are read in one call, and origins whose forecasts are computed in one call.
_STEPS, _ORIGINS, _BLOCK = 100_000, 1024, 4096


class Block(NamedTuple):
    """Forecasts from n origins."""

    number: Ids
    """(n,), series."""
    origins: Ids
    """(n,), positions of the last known values."""
    members: list[Forecasts]
    """Of each network, (n, C, H, …)."""
    level: Values
    """(n, C, 1), of the origins."""
    scale: Values
    """(n, C, 1)."""


def blocks(
    network: ForecastNetwork, inputs: Inputs, history: History, origins: Sequence[Ids], *, context: int
) -> Iterator[Block]:
    """Yields forecasts from origins.

    Args:
        network: in evaluation mode.
        inputs: computes its inputs.
        history: the series.
        origins: positions of each series, ascending; none for a series that is left out.
        context: steps that are read before the first origin.
    """
    wanted = [number for number, places in enumerate(origins) if len(places)]
    begins = {number: max(0, int(origins[number][0]) - context + 1) for number in wanted}
    wanted.sort(key=lambda number: int(origins[number][-1]) - begins[number])
    chunk: list[int] = []
    for number in wanted:
        length = int(origins[number][-1]) - begins[number] + 1
        if chunk and (len(chunk) + 1) * length > _STEPS:
            yield from _chunk(network, inputs, history, origins, np.array(chunk), begins)
            chunk = []
        chunk.append(number)
    if chunk:
        yield from _chunk(network, inputs, history, origins, np.array(chunk), begins)


def _chunk(
    network: ForecastNetwork,
    inputs: Inputs,
    history: History,
    origins: Sequence[Ids],
    number: Ids,
    begins: dict[int, int],
) -> Iterator[Block]:
    """Forecasts for some series that are read together, in blocks of time with the state carried over."""
    begin = np.array([begins[one] for one in number.tolist()])
    columns = np.concatenate([np.full(len(origins[one]), place) for place, one in enumerate(number.tolist())])
    places = np.concatenate([origins[one] for one in number.tolist()]) - begin[columns]
    states: list[States | None] = [None] * len(network.members)
    for start in range(0, int(places.max()) + 1, _BLOCK):
        stop = min(start + _BLOCK, int(places.max()) + 1)
        steps = read_steps(inputs, history, number, begin + np.arange(start, stop)[:, None])
        outputs = []
        for index, member in enumerate(network.each()):
            h, states[index] = member.read(type(steps)(*(one.to(network.device) for one in steps)), states[index])
            outputs.append(h)
        inside = np.flatnonzero((places >= start) & (places < stop))
        for part in np.split(inside, range(_ORIGINS, len(inside), _ORIGINS)):
            if len(part):
                of_series, of_place = columns[part], places[part]
                picked = [h[of_place - start, of_series] for h in outputs]
                yield _block(network, inputs, history, number[of_series], begin[of_series] + of_place, picked)


def _block(
    network: ForecastNetwork, inputs: Inputs, history: History, number: Ids, origins: Ids, outputs: list[Tensor]
) -> Block:
    ahead = look_ahead(inputs, history, number, origins)
    ahead = type(ahead)(*(one.to(network.device) for one in ahead))
    members = [member.forecast(h, ahead) for member, h in zip(network.each(), outputs, strict=True)]
    rows = history.series.starts[number] + origins
    return Block(number, origins, members, history.levels[rows][..., None], history.scales[rows][..., None])


def relative_quantiles(network: ForecastNetwork, block: Block) -> Values:
    """Returns the quantiles (n, C, H, Q) relative to level and scale: the mean of those of the members."""
    level, scale = torch.from_numpy(block.level).float(), torch.from_numpy(block.scale).float()
    quantiles = [
        network.distribution.quantiles(member.location.cpu(), member.outputs.cpu(), level, scale)
        for member in block.members
    ]
    return torch.stack(quantiles).mean(0).double().numpy()


def absolute(relative: Values, block: Block, history: History) -> Values:
    """Returns values (n, C, H, …) in the units of the data from those relative to level and scale."""
    extra = (None,) * (relative.ndim - block.level.ndim)
    values = block.level[(..., *extra)] + block.scale[(..., *extra)] * relative
    return untransformed(values, history, block.number)


def untransformed(values: Values, history: History, number: Ids) -> Values:
    """Undoes the transforms of values (n, C, …), in place."""
    for one in np.unique(number).tolist():
        rows = number == one
        for channel, power in enumerate(history.origins[one].powers):
            if power is not None:
                values[rows, channel] = invert(values[rows, channel], power)
    return values


def _mean_weights() -> Values:
    """Weights of the quantiles in the mean: the integral of the quantile function, constant beyond the outer ones."""
    levels = np.array([0.0, *LEVELS, 1.0])
    weights = np.zeros(len(levels))
    weights[1:] += np.diff(levels) / 2
    weights[:-1] += np.diff(levels) / 2
    weights[1] += weights[0]
    weights[-2] += weights[-1]
    return weights[1:-1]


_MEAN = _mean_weights()


def mean_of(quantiles: Values) -> Values:
    """Returns the mean (…) of a distribution with quantiles (…, Q)."""
    return np.asarray(quantiles @ _MEAN)


def evaluating(network: ForecastNetwork) -> torch.inference_mode:
    """Returns a context without gradients, after switching the network to evaluation mode."""
    network.eval()
    return torch.inference_mode()
