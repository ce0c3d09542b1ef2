"""Sample paths of an autoregressive network: each step is drawn, and becomes an input of the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from recurra.cells import States, select
from recurra.data.series.collection import Collection
from recurra.tasks.forecaster.history import History, Origin
from recurra.tasks.forecaster.predict import Block
from recurra.tasks.forecaster.scaling import Level, scale_of
from recurra.tasks.forecaster.windows import look_ahead, read_steps

if TYPE_CHECKING:
    from recurra.tasks.forecaster.model import Forecaster

Ids = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
# Series and paths that are computed together.
_SERIES, _ROWS = 64, 8192


class Drawn(NamedTuple):
    """Sample paths from n origins."""

    block: Block
    """The origins; it holds no forecasts of networks."""
    relative: Values
    """(n, C, H, S), relative to the level and the scale of the origin."""


def sampled(
    model: Forecaster, history: History, origins: Sequence[Ids], *, horizon: int, samples: int, seed: int
) -> Iterator[Drawn]:
    """Yields sample paths; each member of an ensemble draws its share of them."""
    generator = torch.Generator().manual_seed(seed)
    wanted = [number for number, places in enumerate(origins) if len(places)]
    wanted.sort(key=lambda number: int(origins[number][-1]))
    for begin in range(0, len(wanted), _SERIES):
        number = np.array(wanted[begin : begin + _SERIES])
        yield from _of_series(model, history, number, [origins[one] for one in number], horizon, samples, generator)


def _of_series(
    model: Forecaster,
    history: History,
    number: Ids,
    origins: list[Ids],
    horizon: int,
    samples: int,
    generator: torch.Generator,
) -> Iterator[Drawn]:
    """Reads some series together, and stops at every origin to draw paths."""
    begin = np.array([max(0, int(places[0]) - model.context + 1) for places in origins])
    stops = sorted({int(place) - int(first) for places, first in zip(origins, begin, strict=True) for place in places})
    members = list(model.network.members)
    states: list[States | None] = [None] * len(members)
    before = 0
    for stop in stops:
        steps = read_steps(model.inputs, history, number, begin + np.arange(before, stop + 1)[:, None])
        outputs = []
        for index, member in enumerate(members):
            h, states[index] = member.read(steps, states[index])
            outputs.append(h[-1])
        before = stop + 1
        rows = np.array([row for row, places in enumerate(origins) if stop + begin[row] in places])
        of_series, places = number[rows], begin[rows] + stop
        share = np.array_split(np.arange(samples), len(members))
        paths = [
            _draw(model, index, history, of_series, places, outputs[index][rows], select(states[index], torch.from_numpy(rows)), horizon, len(part), generator)
            for index, part in enumerate(share)
            if len(part)
        ]
        at = history.series.starts[of_series] + places
        block = Block(of_series, places, [], history.levels[at][..., None], history.scales[at][..., None])
        drawn = np.concatenate(paths, axis=-1)
        yield Drawn(block, (drawn - block.level[..., None]) / block.scale[..., None])
