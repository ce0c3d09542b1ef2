"""A trained forecaster: reads series, forecasts, keeps states that absorb observations, and evaluates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from recurra.cells import Cell
from recurra.data.series.collection import Collection
from recurra.data.series.frequency import Frequency
from recurra.data.series.layout import Layout
from recurra.data.series.reading import read_series
from recurra.data.series.tables import Table, frame_table, read_table
from recurra.errors import InputError
from recurra.tasks.capabilities import Evaluates
from recurra.tasks.cell_names import stored_cell
from recurra.tasks.fields import read_fields, to_plain
from recurra.tasks.forecaster.calibration import Calibration
from recurra.tasks.forecaster.data import SeriesData
from recurra.tasks.forecaster.history import History, Origin, make_history
from recurra.tasks.forecaster.inputs import Inputs
from recurra.tasks.forecaster.memory import Memory, load_memory, remember
from recurra.tasks.forecaster.network import ForecastNetwork, Sizes
from recurra.tasks.forecaster.options import NetworkOptions
from recurra.tasks.forecaster.scaling import Level, smoothing_for
from recurra.tasks.forecaster.statistics import statistics_of

_FIELDS = {"network", "frequency", "seasons", "horizon", "context", "channels", "layout", "reading", "calibration"}
_FIELDS |= {"sizes"}


class Forecaster(Evaluates):
    """A network with its series, as `recurra.load(DIR)` returns it for a folder of `recurra train forecaster`.

    Args:
        options: of the network.
        layout: the columns of its files.
        inputs: computes the inputs of the network.
        context: steps that are read before a forecast.
        memory: the ends of the training series.
        reading: the options with which files are read.
        calibration: of the intervals; None for none.
        cell: the recurrent cell; None for the one of the options.
    """

    name: ClassVar[str] = "forecaster"

    def __init__(
        self,
        options: NetworkOptions,
        layout: Layout,
        inputs: Inputs,
        *,
        context: int,
        memory: Memory,
        reading: dict[str, Any],
        calibration: Calibration | None = None,
        cell: Cell | None = None,
    ) -> None:
        self.options, self.layout, self.inputs, self.context = options, layout, inputs, context
        self.memory, self.reading, self.calibration = memory, reading, calibration
        self.smoothing = smoothing_for(list(inputs.seasons))
        sizes = Sizes(
            channels=inputs.channels,
            horizon=inputs.horizon,
            per_channel=inputs.per_channel,
            calendar=inputs.calendar_size,
            candidates=inputs.candidates,
            seasonal_naive=inputs.seasonal_naive,
            series=len(memory.series),
        )
        self.network = ForecastNetwork(sizes, options, layout.of("past"), layout.of("known", "static"), cell)

    @classmethod
    def create(cls, data: SeriesData, options: NetworkOptions) -> Forecaster:
        """Returns a forecaster for series, with random weights from torch's global generator."""
        series, smoothing = data.series, smoothing_for(list(data.seasons))
        origins = [
            Origin(tuple(powers), (Level(),) * series.values.shape[1], number)
            for number, powers in enumerate(data.powers, start=1)
        ]
        # An autoregressive network forecasts one step, and its own forecasts are the inputs of the next.
        horizon = data.horizon if options.head == "direct" else 1
        inputs = Inputs(series.frequency, data.seasons, horizon, series.values.shape[1])
        statistics = [
            statistics_of(series.values[series.rows(number)], int(data.valid_from[number]), data.seasons[0])
            for number in range(len(series))
        ]
        history = make_history(series, origins, smoothing, data.seasons[0])
        reach = replace(inputs, horizon=data.horizon).reach
        memory = remember(history, statistics, smoothing, data.context + reach)
        return cls(options, data.layout, inputs, context=data.context, memory=memory, reading=data.reading)

    def read(self, series: Collection, origins: Sequence[Origin] | None = None) -> History:
        """Returns series as the network reads them.

        Args:
            series: of its frequency and channels.
            origins: what is known of each before its first value; None to look up their transforms by name.
        """
        if origins is None:
            known = self.memory.origins_of(series.ids)
            blank = (Level(),) * self.inputs.channels
            origins = [
                Origin(self._powers, blank, 0) if one is None else one._replace(levels=blank) for one in known
            ]
        return make_history(series, origins, self.smoothing, self.inputs.seasons[0])

    @property
    def _powers(self) -> tuple[float | None, ...]:
        """The transform of a series that training did not have: the median of the others."""
        powers = [origin.powers for origin in self.memory.origins]
        if powers[0][0] is None:
            return powers[0]
        return tuple(float(np.median([one[channel] for one in powers])) for channel in range(len(powers[0])))  # type: ignore[arg-type]

    def config(self) -> dict[str, Any]:
        """Returns what rebuilds the forecaster together with its series, as JSON can represent it."""
        frequency = self.inputs.frequency
        return {
            "network": to_plain(self.options),
            "frequency": [frequency.unit, frequency.size],
            "seasons": list(self.inputs.seasons),
            "horizon": self.inputs.horizon,
            "context": self.context,
            "channels": self.memory.series.channels,
            "layout": self.layout.to_plain(),
            "reading": self.reading,
            "calibration": None if self.calibration is None else self.calibration.to_plain(),
            "sizes": len(self.memory.series),
        }

    def settings(self) -> dict[str, Any]:
        """Returns the options of training that this forecaster determines, for a run that starts from it."""
        return to_plain(self.options)

    def files(self) -> dict[str, str]:
        """Returns the file of the series, name to text."""
        return self.memory.files()

    @classmethod
    def from_files(cls, config: dict[str, Any], folder: Path, *, cell: Cell | None = None) -> Forecaster:
        """Returns the forecaster that `config()` and the files in `folder` describe, its weights not yet loaded.

        Raises:
            InputError: a field is missing, unknown or of another type, or does not fit the series.
        """
        path = folder / "config.json"
        if config.keys() != _FIELDS or not isinstance(config["network"], dict):
            raise InputError(f"{path}: the model's fields are {sorted(config)}, expected {', '.join(sorted(_FIELDS))}")
        options = read_fields(NetworkOptions, config["network"], where=f"{path}: network")
        try:
            frequency, layout = Frequency(*config["frequency"]), Layout.from_plain(config["layout"])
            channels = [str(name) for name in config["channels"]]
            inputs = Inputs(frequency, tuple(map(int, config["seasons"])), int(config["horizon"]), len(channels))
            context, plain = int(config["context"]), config["calibration"]
            calibration = None if plain is None else Calibration.from_plain(plain)
        except (TypeError, ValueError, KeyError) as error:
            raise InputError(f"{path}: is damaged ({error}). Restore the file, or train again") from None
        memory = load_memory(folder, frequency, channels, len(layout.of("past")), len(layout.of("known", "static")))
        return cls(
            options,
            layout,
            inputs,
            context=context,
            memory=memory,
            reading=dict(config["reading"]),
            calibration=calibration,
            cell=stored_cell(options.recurrent, folder, cell),
        )
