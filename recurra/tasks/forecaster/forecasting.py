"""Forecasts in the units of the data: quantiles, the mean and sample paths, by either head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.errors import InputError
from recurra.tasks.forecaster.core import Core
from recurra.tasks.forecaster.distributions import LEVELS
from recurra.tasks.forecaster.history import History
from recurra.tasks.forecaster.paths import sampled
from recurra.tasks.forecaster.predict import absolute, blocks, evaluating, mean_of, relative_quantiles

Ids = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
SAMPLES = 200


class Outlook(NamedTuple):
    """Forecasts from n origins, in the units of the data."""

    number: Ids
    """(n,), series."""
    origins: Ids
    """(n,), positions of the last known values."""
    quantiles: Values
    """(n, C, H, Q), of the levels `LEVELS`."""
    mean: Values
    """(n, C, H)."""
    relative: Values
    """(n, C, H, Q), relative to level and scale, before the calibration."""
    paths: Values | None = None
    """(n, C, H, S), samples of an autoregressive network."""


def outlooks(
    model: Core,
    history: History,
    origins: Sequence[Ids],
    *,
    horizon: int,
    samples: int = SAMPLES,
    seed: int = 0,
    calibrated: bool = True,
) -> Iterator[Outlook]:
    """Yields forecasts from origins of each series.

    Args:
        model: the forecaster.
        history: the series as `model.read` returns them.
        origins: positions of each series, ascending.
        horizon: steps to forecast.
        samples: paths per origin of an autoregressive network.
        seed: of the paths.
        calibrated: whether the intervals are calibrated, if the model has a calibration.

    Raises:
        InputError: the horizon is longer than that of a direct network.
    """
    check_horizon(model, horizon)
    calibration = model.calibration if calibrated else None
    with evaluating(model.network):
        if model.options.head == "direct":
            for block in blocks(model.network, model.inputs, history, origins, context=model.context):
                relative = relative_quantiles(model.network, block)[:, :, :horizon]
                quantiles = relative.copy() if calibration is None else calibration.apply(relative.copy())
                values = absolute(quantiles, block, history)
                # Of the network's own quantiles: widened intervals say that less is known, not that more is expected.
                mean = mean_of(absolute(relative, block, history))
                yield Outlook(block.number, block.origins, values, mean, relative)
        else:
            for drawn in sampled(model, history, origins, horizon=horizon, samples=samples, seed=seed):
                relative = np.moveaxis(np.quantile(drawn.relative, LEVELS, axis=-1), 0, -1)
                quantiles = relative.copy() if calibration is None else calibration.apply(relative.copy())
                values = absolute(quantiles, drawn.block, history)
                paths = absolute(drawn.relative, drawn.block, history)
                yield Outlook(drawn.block.number, drawn.block.origins, values, paths.mean(-1), relative, paths)


def check_horizon(model: Core, horizon: int) -> None:
    """Checks that a network can forecast so many steps.

    Raises:
        InputError: it cannot.
    """
    if horizon < 1:
        raise InputError(f"horizon={horizon}: expected 1 or more")
    if model.options.head == "direct" and horizon > model.inputs.horizon:
        raise InputError(
            f"horizon={horizon}: the model forecasts {model.inputs.horizon} steps at once. Train it with a longer "
            "horizon, or with --head autoregressive, which has no limit"
        )
