"""The objective of a forecaster: windows of series, their loss, and scores on the held-out steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recurra.tasks.forecaster.calibration import calibrate
from recurra.tasks.forecaster.data import SeriesData
from recurra.tasks.forecaster.distributions import MEDIAN
from recurra.tasks.forecaster.forecasting import outlooks
from recurra.tasks.forecaster.model import Forecaster
from recurra.tasks.forecaster.network import Forecasts
from recurra.tasks.forecaster.options import WindowOptions
from recurra.tasks.forecaster.predict import Block, blocks, evaluating, relative_quantiles
from recurra.tasks.forecaster.windows import WindowBatch, Windows, targets_of
from recurra.tasks.implementation import Objective
from recurra.training import Loss

# Origins per series of a validation during training.
_ORIGINS = 8
# Origins of all series together that intervals are calibrated on.
_CALIBRATED = 20_000


class ForecastObjective(Objective):
    """Learns the distribution of the next values of series.

    Args:
        model: its network on the device of the training.
        data: the series.
        options: by group; this class reads `windows`.
    """

    token_name = "value"

    def __init__(self, model: Forecaster, data: SeriesData, options: Mapping[str, Any]) -> None:
        self._core, self.network, self._data = model.core, model.network, data
        self._options: WindowOptions = options["windows"]
        self._history = self._core.read(data.series)

    def batches(self, *, seed: int, rank: int = 0, world_size: int = 1) -> Windows:
        """Returns random windows."""
        return Windows(
            self._core.inputs,
            self._history,
            self._data.valid_from,
            context=self._data.context,
            origins=self._options.origins,
            rows=self._options.batch_windows,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )

    def loss(self, network: nn.Module, batch: WindowBatch, state: Any) -> Loss:
        """Returns the sum of the losses of all targets of a batch, the mean over the networks of an ensemble."""
        batch = batch.to(self.network.device)
        totals = [
            _losses(self.network.distribution, forecasts, batch.targets, batch.level, batch.scale)[0]
            for forecasts in network(batch.steps, batch.picks, batch.ahead)
        ]
        return Loss(torch.stack(totals).mean(), batch.count)

    def score(self, *, final: bool) -> dict[str, float]:
        """Returns the loss on the held-out steps, and the mean absolute error of the median relative to the scale.

        The intervals of the trained model are calibrated too.
        """
        total = error = 0.0
        count = 0
        with evaluating(self.network):
            for block in self._blocks(None if final else _ORIGINS):
                target, level, scale = self._targets(block)
                losses = [_losses(self.network.distribution, one, target, level, scale)[0] for one in block.members]
                total += float(torch.stack(losses).mean())
                median = torch.from_numpy(relative_quantiles(self.network, block)[..., MEDIAN])
                error += float((target - median).abs().nansum())
                count += int(target.isfinite().sum())
        if final:
            self.calibrate()
        return {"loss": total / max(count, 1), "scaled_mae": error / max(count, 1)}

    def calibrate(self) -> None:
        """Calibrates the intervals of the model on the held-out steps."""
        self._core.calibration = None
        most = max(_ORIGINS, _CALIBRATED // len(self._data.series))
        history, horizon = self._history, self._data.horizon
        targets, quantiles = [], []
        for outlook in outlooks(self._core, history, held_out_origins(self._data, most, 1), horizon=horizon):
            values = targets_of(
                history, outlook.number, outlook.origins, horizon, history.series.lengths[outlook.number]
            )
            at = history.series.starts[outlook.number] + outlook.origins
            relative = (values - history.levels[at][..., None]) / history.scales[at][..., None]
            targets.append(relative.reshape(-1, horizon))
            quantiles.append(outlook.relative.reshape(-1, horizon, outlook.relative.shape[-1]))
        held_out = history.series.lengths - self._data.valid_from
        stretches = int(np.maximum(held_out // horizon, 1).sum())
        self._core.calibration = calibrate(np.concatenate(targets), np.concatenate(quantiles), stretches=stretches)

    def _blocks(self, most: int | None) -> Any:
        origins = held_out_origins(self._data, most, self._data.horizon)
        return blocks(self.network, self._core.inputs, self._history, origins, context=self._data.context)

    def _targets(self, block: Block) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the targets of a block, relative to level and scale, and these."""
        until = self._history.series.lengths[block.number]
        values = targets_of(self._history, block.number, block.origins, self._core.inputs.horizon, until)
        target = torch.from_numpy((values - block.level) / block.scale).float()
        return target, torch.from_numpy(block.level).float(), torch.from_numpy(block.scale).float()

    def score_part(self) -> float:
        """Scores one origin of each series; returns its share of the origins."""
        with evaluating(self.network):
            for block in self._blocks(1):
                relative_quantiles(self.network, block)
        every = sum(map(len, held_out_origins(self._data, None, self._data.horizon)))
        return max(1, sum(map(len, held_out_origins(self._data, 1, self._data.horizon)))) / max(1, every)


def _losses(
    distribution: Any, forecasts: Forecasts, targets: Tensor, level: Tensor, scale: Tensor
) -> tuple[Tensor, int]:
    """Returns the summed loss of the targets that are not missing, and their number."""
    present = targets.isfinite()
    # Zeros in place of missing targets: the gradient of a masked NaN would be NaN.
    known = targets.masked_fill(~present, 0.0).clamp(-distribution.limit, distribution.limit)
    losses = distribution.loss(known, forecasts.location, forecasts.outputs, level, scale)
    return losses.masked_fill(~present, 0.0).sum(), int(present.sum())


def held_out_origins(data: SeriesData, most: int | None, complete: int) -> list[Any]:
    """Returns the origins of forecasts of the held-out steps of each series.

    Args:
        data: the series.
        most: number of origins of a series, evenly spaced; None for all.
        complete: steps of the horizon that must be held-out values; the first origin is always one.
    """
    origins = []
    for begin, length in zip(data.valid_from.tolist(), data.series.lengths.tolist(), strict=True):
        last = max(begin - 1, length - complete - 1)
        places = np.arange(begin - 1, last + 1)
        if most is not None and len(places) > most:
            places = places[np.linspace(0, len(places) - 1, most).round().astype(int)]
        origins.append(places)
    return origins
