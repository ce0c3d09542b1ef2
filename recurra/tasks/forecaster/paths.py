"""Sample paths of an autoregressive network: each step is drawn, and becomes an input of the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from recurra.cells import States, select
from recurra.data.series.collection import Collection
from recurra.tasks.forecaster.core import Core
from recurra.tasks.forecaster.history import History
from recurra.tasks.forecaster.predict import Block
from recurra.tasks.forecaster.windows import look_ahead, read_steps

Ids = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
# Series and paths that are computed together.
_SERIES, _ROWS = 64, 8192


class Origins(NamedTuple):
    """Origins of paths."""

    number: Ids
    places: Ids


class Drawn(NamedTuple):
    """Sample paths from n origins."""

    block: Block
    """The origins; it holds no forecasts of networks."""
    relative: Values
    """(n, C, H, S), relative to the level and the scale of the origin."""


def sampled(
    model: Core, history: History, origins: Sequence[Ids], *, horizon: int, samples: int, seed: int
) -> Iterator[Drawn]:
    """Yields sample paths; each member of an ensemble draws its share of them."""
    generator = torch.Generator().manual_seed(seed)
    wanted = [number for number, places in enumerate(origins) if len(places)]
    wanted.sort(key=lambda number: int(origins[number][-1]))
    for begin in range(0, len(wanted), _SERIES):
        number = np.array(wanted[begin : begin + _SERIES])
        yield from _of_series(model, history, number, [origins[one] for one in number], horizon, samples, generator)


def _of_series(
    model: Core,
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
    members = model.network.each()
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
        at_origin = Origins(number[rows], begin[rows] + stop)
        share = np.array_split(np.arange(samples), len(members))
        paths = []
        for index, part in enumerate(share):
            state = select(_present(states[index]), torch.from_numpy(rows))
            if len(part):
                paths.append(
                    draw(model, index, history, at_origin, outputs[index][rows], state, len(part), horizon, generator)
                )
        at = history.series.starts[at_origin.number] + at_origin.places
        block = Block(*at_origin, [], history.levels[at][..., None], history.scales[at][..., None])
        drawn = np.concatenate(paths, axis=-1)
        yield Drawn(block, (drawn - block.level[..., None]) / block.scale[..., None])


def _present(state: States | None) -> States:
    assert state is not None
    return state


def draw(
    model: Core,
    index: int,
    history: History,
    origins: Origins,
    h: torch.Tensor,
    state: States,
    samples: int,
    horizon: int,
    generator: torch.Generator,
) -> Values:
    """Draws paths of one member, (n, C, H, S), in the units of the network's level and scale."""
    count = len(origins.number)
    per_call = max(1, _ROWS // samples)
    parts = []
    for begin in range(0, count, per_call):
        rows = np.arange(begin, min(begin + per_call, count))
        repeated = torch.from_numpy(np.repeat(rows, samples))
        copies = _copies(model, history, origins.number[rows], origins.places[rows], samples, horizon)
        values = _continue(model, index, copies, h[repeated], select(state, repeated), horizon, generator)
        parts.append(values.reshape(len(rows), samples, *values.shape[1:]))  # (n, S, C, H)
    return np.moveaxis(np.concatenate(parts), 1, -1)


def _continue(
    model: Core,
    index: int,
    copies: History,
    h: torch.Tensor,
    state: States,
    horizon: int,
    generator: torch.Generator,
) -> Values:
    """Draws the steps of the horizon one after the other into the rows that `copies` has for them, (R, C, H)."""
    member = model.network.each()[index]
    number = np.arange(len(copies.series))
    last = copies.series.lengths - horizon - 1  # (R,), of the values that are known
    drawn = np.empty((len(number), model.inputs.channels, horizon))
    for step in range(horizon):
        row = copies.series.starts[:-1] + last + step
        level, scale = copies.levels[row][..., None], copies.scales[row][..., None]  # (R, C, 1)
        forecast = member.forecast(h, look_ahead(model.inputs, copies, number, last + step))
        relative = member.distribution.sample(
            forecast.location,
            forecast.outputs,
            torch.from_numpy(level).float(),
            torch.from_numpy(scale).float(),
            generator,
        )
        value = (level + scale * relative.double().numpy())[..., 0]  # (R, C)
        drawn[..., step] = value
        copies.append(row + 1, value, model.smoothing)
        steps = read_steps(model.inputs, copies, number, (last + step + 1)[None])
        outputs, state = member.read(steps, state)
        h = outputs[-1]
    return drawn


def _copies(model: Core, history: History, number: Ids, places: Ids, samples: int, horizon: int) -> History:
    """Returns the ends of series before origins, each `samples` times, with empty rows for the horizon."""
    series, reach = history.series, model.inputs.reach + 1
    begins = np.maximum(places - reach, 0)
    rows, first, origins = [], [], []
    for one, begin, place in zip(number.tolist(), begins.tolist(), places.tolist(), strict=True):
        # Rows after the end of the series are repeated from its last one; `append` replaces their values.
        ahead = np.minimum(np.arange(begin, place + horizon + 1), series.lengths[one] - 1)
        rows += [series.starts[one] + ahead] * samples
        first += [series.times(one, np.array([begin]))[0]] * samples
        origins += [history.origins[one]] * samples
    index = np.concatenate(rows)
    known = series.known[index]
    copied = Collection(
        frequency=series.frequency,
        ids=[""] * len(rows),
        channels=series.channels,
        first=np.array(first, dtype=np.int64),
        starts=np.concatenate([[0], np.cumsum([len(part) for part in rows])]).astype(np.int64),
        values=series.values[index],
        past=np.full((len(index), series.past.shape[1]), np.nan, dtype=np.float32),
        known=known,
    )
    return replace(
        history,
        series=copied,
        origins=origins,
        values=history.values[index],
        levels=history.levels[index],
        deviations=history.deviations[index],
        counts=history.counts[index],
        filled=history.filled[index],
    )
