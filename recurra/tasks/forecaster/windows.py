"""Batches of windows of the series, each with several origins of forecasts."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.errors import InputError
from recurra.tasks.forecaster.history import History
from recurra.tasks.forecaster.inputs import Inputs, covariates_at
from recurra.tasks.forecaster.network import Ahead, Steps

Ids = npt.NDArray[np.int64]
# Updates in an epoch of short data, so that it is not validated after every few.
_LEAST_UPDATES = 50


@dataclass(frozen=True)
class WindowBatch:
    """B windows of T steps with O origins each.

    Args:
        steps: what the network reads.
        picks: int64 (O, B), the steps of the origins.
        ahead: (O, B, …), what it reads for its forecasts.
        targets: (O, B, C, H), relative to the level and the scale of the origin; NaN where missing.
        level: (O, B, C, 1).
        scale: (O, B, C, 1).
        count: finite targets.
    """

    steps: Steps
    picks: Tensor
    ahead: Ahead
    targets: Tensor
    level: Tensor
    scale: Tensor
    count: int
    fresh: bool = True

    def to(self, device: torch.device) -> WindowBatch:
        """Returns the batch on a device."""
        if device.type == "cpu":
            return self
        moved: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Steps | Ahead):
                value = type(value)(*(tensor.to(device) for tensor in value))
            moved[field.name] = value.to(device) if isinstance(value, Tensor) else value
        return WindowBatch(**moved)


def read_steps(inputs: Inputs, history: History, number: Ids, positions: Ids) -> Steps:
    """Returns what the network reads at steps of series.

    Args:
        inputs: computes the inputs.
        history: the series.
        number: (B,), series.
        positions: (T, B), consecutive in time.
    """
    series = history.series
    at = np.broadcast_to(number, positions.shape)
    return Steps(
        torch.from_numpy(inputs.encoder(history, at, positions)),
        torch.from_numpy(inputs.calendar(series, at, positions)),
        torch.from_numpy(covariates_at(series.past, series, at, positions)),
        torch.from_numpy(covariates_at(series.known, series, at, positions)),
        torch.from_numpy(history.entities[number]),
    )


def look_ahead(inputs: Inputs, history: History, number: Ids, origins: Ids) -> Ahead:
    """Returns what the network reads for forecasts from origins (…) of series (…)."""
    positions = origins[..., None] + np.arange(1, inputs.horizon + 1)  # (…, H)
    at, series = np.broadcast_to(number[..., None], positions.shape), history.series
    return Ahead(
        torch.from_numpy(inputs.decoder(history, number, origins)),
        torch.from_numpy(inputs.calendar(series, at, positions)),
        torch.from_numpy(covariates_at(series.known, series, at, positions)),
        torch.from_numpy(inputs.last_values(history, number, origins)),
    )


def targets_of(history: History, number: Ids, origins: Ids, horizon: int, until: Ids) -> npt.NDArray[np.float64]:
    """Returns the transformed values after origins, (…, C, H), NaN where missing or from position `until` (…) on."""
    positions = origins[..., None] + np.arange(1, horizon + 1)  # (…, H)
    inside = positions < until[..., None]
    rows = np.where(inside, history.series.starts[number][..., None] + positions, 0)
    values = np.where(inside[..., None], history.values[rows], np.nan)  # (…, H, C)
    return np.moveaxis(values, -1, -2)


class Windows:
    """Random windows of the training part of the series, a `recurra.training.Updates` of one batch per update.

    Longer series have more windows. The windows follow from the seed, the epoch and the position alone.

    Args:
        inputs: computes the inputs.
        history: the series.
        ends: (N,), the length of the training part of each series.
        context: steps before the first forecast, about; a window has half as many more.
        origins: O.
        rows: B.
        seed: determines the windows.
        rank: of this process.
        world_size: processes that train together.

    Raises:
        InputError: no series has two values.
    """

    def __init__(
        self,
        inputs: Inputs,
        history: History,
        ends: Ids,
        *,
        context: int,
        origins: int,
        rows: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._inputs, self._history, self._ends = inputs, history, ends
        self._steps, self._warm = context + context // 2, context // 2
        self._origins, self._rows, self._seed, self._rank = origins, rows, seed, rank
        usable = np.maximum(ends - 1, 0).astype(np.float64)
        if not usable.any():
            raise InputError("no series has two values to train on: expected longer series, or fewer --valid-steps")
        self._chances = usable / usable.sum()
        per_update = rows * world_size * max(1, self._steps - self._warm)
        self._updates = max(_LEAST_UPDATES, math.ceil(float(usable.sum()) / per_update))
        self.epoch = self._position = 0

    def updates_per_epoch(self) -> int:
        """Returns how many updates read about as many steps as the series have."""
        return self._updates

    def update(self) -> list[WindowBatch]:
        """Returns the batch of the next update."""
        generator = np.random.default_rng([self._seed, self.epoch, self._position, self._rank])
        self._position += 1
        if self._position == self._updates:
            self.epoch, self._position = self.epoch + 1, 0
        batch = self._draw(generator)
        while not batch.count:
            batch = self._draw(generator)
        return [batch]

    def _draw(self, generator: np.random.Generator) -> WindowBatch:
        number = generator.choice(len(self._ends), self._rows, p=self._chances)
        ends = self._ends[number]
        begin = (generator.random(self._rows) * (np.maximum(ends - self._steps, 0) + 1)).astype(np.int64)
        last = np.minimum(begin + self._steps, ends - 1) - 1  # of the origins: one target at least follows
        first = np.minimum(begin + np.minimum(self._warm, ends // 3), last)
        picks = first + (generator.random((self._origins, self._rows)) * (last - first + 1)).astype(np.int64)
        return self._batch(number, begin, picks, ends)

    def _batch(self, number: Ids, begin: Ids, origins: Ids, ends: Ids) -> WindowBatch:
        positions = begin + np.arange(int((origins - begin).max()) + 1)[:, None]  # (T, B)
        # Nothing after the training part is read.
        positions = np.where(positions < ends, positions, -1)
        at = np.broadcast_to(number, origins.shape)
        rows = self._history.series.starts[number] + origins
        level, scale = self._history.levels[rows][..., None], self._history.scales[rows][..., None]  # (O, B, C, 1)
        values = targets_of(self._history, at, origins, self._inputs.horizon, np.broadcast_to(ends, origins.shape))
        targets = (values - level) / scale
        return WindowBatch(
            steps=read_steps(self._inputs, self._history, number, positions),
            picks=torch.from_numpy(origins - begin),
            ahead=look_ahead(self._inputs, self._history, at, origins),
            targets=torch.from_numpy(targets.astype(np.float32)),
            level=torch.from_numpy(level.astype(np.float32)),
            scale=torch.from_numpy(scale.astype(np.float32)),
            count=int(np.isfinite(targets).sum()),
        )

    def state_dict(self) -> dict[str, Any]:
        """Returns the position."""
        return {"epoch": self.epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a position."""
        self.epoch, self._position = state["epoch"], state["position"]
