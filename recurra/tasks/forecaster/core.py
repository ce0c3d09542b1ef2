"""What forecasting needs of a model: the network, its inputs, its series and the calibration of its intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recurra.data.series.collection import Collection
from recurra.data.series.layout import Layout
from recurra.tasks.forecaster.calibration import Calibration
from recurra.tasks.forecaster.history import History, Origin, make_history
from recurra.tasks.forecaster.inputs import Inputs
from recurra.tasks.forecaster.memory import Memory
from recurra.tasks.forecaster.network import ForecastNetwork
from recurra.tasks.forecaster.options import NetworkOptions
from recurra.tasks.forecaster.scaling import Level, Smoothing, smoothing_for


@dataclass
class Core:
    """The parts of a forecaster.

    Args:
        options: of the network.
        layout: the columns of its files.
        inputs: computes the inputs of the network.
        horizon: steps that are forecast by default.
        context: steps that are read before a forecast.
        memory: the ends of the training series.
        network: the network.
        calibration: of the intervals; None for none. The end of training sets it.
    """

    options: NetworkOptions
    layout: Layout
    inputs: Inputs
    horizon: int
    context: int
    memory: Memory
    network: ForecastNetwork
    calibration: Calibration | None = None

    @cached_property
    def smoothing(self) -> Smoothing:
        """How levels are smoothed."""
        return smoothing_for(list(self.inputs.seasons))

    def read(self, series: Collection, origins: Sequence[Origin] | None = None) -> History:
        """Returns series as the network reads them.

        Args:
            series: of its frequency and channels.
            origins: what is known of each before its first value; that of `origins_for` if None.
        """
        origins = self.origins_for(series, continued=False) if origins is None else origins
        return make_history(series, origins, self.smoothing, self.inputs.seasons[0])

    def origins_for(self, series: Collection, *, continued: bool) -> list[Origin]:
        """Returns what is known of series before their first values.

        Args:
            series: the series; those of the training data are recognised by name.
            continued: whether their first values are those that the model keeps; otherwise their level starts anew.
        """
        blank = (Level(),) * self.inputs.channels
        origins = []
        for known in self.memory.origins_of(series.ids):
            if known is None:
                origins.append(Origin(self._powers, blank, 0))
            else:
                origins.append(known if continued else known._replace(levels=blank))
        return origins

    @property
    def _powers(self) -> tuple[float | None, ...]:
        """The transform of a series that training did not have: the median of the others."""
        powers = [origin.powers for origin in self.memory.origins]
        if powers[0][0] is None:
            return powers[0]
        return tuple(float(np.median([one[channel] for one in powers])) for channel in range(len(powers[0])))
