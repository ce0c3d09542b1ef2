"""The inputs of the network: what it reads at each step, and what it reads for each step that it forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recurra.data.series.calendar import calendar
from recurra.data.series.collection import Collection
from recurra.data.series.frequency import Frequency
from recurra.tasks.forecaster.history import History

Numbers = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
# How many of its last seasons a forecast reads, of the shortest season and of further ones.
_REPEATS = (4, 2)
# Largest relative value of the linear part, so that an outlier does not decide all of a forecast.
_LARGEST = 20.0


@dataclass(frozen=True)
class Inputs:
    """Computes the inputs.

    Args:
        frequency: of the series.
        seasons: lengths of the seasons in steps, shortest first; [1] for none.
        horizon: H, steps that are forecast at once.
        channels: C.
        circles: the calendar features, from `recurra.data.series.calendar`.
        window: L, last values that the linear part of a forecast reads; 0 for none.
    """

    frequency: Frequency
    seasons: tuple[int, ...]
    horizon: int
    channels: int
    circles: tuple[str, ...] = ()
    window: int = 0

    @property
    def calendar_size(self) -> int:
        """Numbers of the calendar per step."""
        return 2 * len(self.circles)

    @property
    def lags(self) -> tuple[int, ...]:
        """The lags that the network reads besides the value itself."""
        return tuple(season for season in self.seasons if season > 1)

    @property
    def per_channel(self) -> int:
        """Inputs per step and channel."""
        return 4 + len(self.lags)

    @property
    def reach(self) -> int:
        """Largest number of steps back that any input refers to."""
        most = max((-(-self.horizon // season) + repeats - 1) * season for season, repeats in self._repeated)
        return max(most, *self.seasons, self.slope_span, self.window) + 1

    @property
    def slope_span(self) -> int:
        """Steps over which a trend is measured."""
        return max(self.seasons[0], 10)

    @property
    def _repeated(self) -> list[tuple[int, int]]:
        """Each season, and how many of its last repetitions are candidates."""
        return [(season, _REPEATS[min(place, 1)] if season > 1 else 1) for place, season in enumerate(self.seasons)]

    @property
    def candidates(self) -> int:
        """n, simple forecasts that are inputs: the level, the last value, values with a trend, seasonal values."""
        return 3 + sum(repeats for _, repeats in self._repeated)

    def encoder(self, history: History, number: Ids, positions: Ids) -> Numbers:
        """Returns what the network reads at steps: (…, C · per_channel), relative to level and scale of the step.

        Args:
            history: the series.
            number: (…), the series of each step.
            positions: (…), its position in the series; steps after its end are zeros.
        """
        start = history.series.starts[number]
        inside = (positions < history.series.lengths[number]) & (positions >= 0)
        rows = np.where(inside, start + positions, 0)
        level, scale = history.levels[rows], history.scales[rows]  # (…, C)
        observed = np.isfinite(history.values[rows]) & inside[..., None]
        value = np.where(observed, history.values[rows], level)
        before = np.where((positions > 0) & inside, rows - 1, rows)
        features = [
            np.arcsinh((value - level) / scale),
            np.arcsinh(5 * (level - history.levels[before]) / scale),
            # Saturates: a level far from 0 would tell the network where in the training data it is.
            np.tanh(level / scale / 2),
            observed.astype(np.float64),
        ]
        for lag in self.lags:
            usable = inside & (positions >= lag)
            past = history.filled[np.where(usable, rows - lag, rows)]
            features.append(np.where(usable[..., None], np.arcsinh((past - level) / scale), 0.0))
        stacked = np.stack(features, axis=-1) * inside[..., None, None]  # (…, C, F)
        numbers: Numbers = stacked.reshape(*positions.shape, -1).astype(np.float32)
        return numbers

    def decoder(self, history: History, number: Ids, origins: Ids) -> Numbers:
        """Returns the candidates (…, C, H, n): simple forecasts from origins, relative to their level and scale.

        Args:
            history: the series.
            number: (…), the series of each origin.
            origins: (…), the position of the last value that is known.
        """
        start = history.series.starts[number]
        steps = np.arange(1, self.horizon + 1)
        at = start + origins
        level, scale = history.levels[at], history.scales[at]  # (…, C)
        slope = self._slope(history, start, origins, level)[..., None]  # (…, C, 1), per step
        last = (history.filled[at] - level)[..., None] + np.zeros(self.horizon)  # (…, C, H)
        columns = [np.zeros_like(last), last]
        for season, repeats in self._repeated:
            for repeat in range(repeats):
                back = season * (-(-steps // season) + repeat)  # (H,), steps from the target to the value
                place = origins[..., None] + steps - back  # (…, H)
                usable = place >= 0
                value = history.filled[np.where(usable, start[..., None] + place, 0)]  # (…, H, C)
                value = np.moveaxis(np.where(usable[..., None], value - level[..., None, :], 0.0), -1, -2)
                columns.append(value)  # (…, C, H)
                if season == self.seasons[0] and repeat == 0:
                    columns.append(value + slope * back)
        candidates: Numbers = (np.stack(columns, axis=-1) / scale[..., None, None]).astype(np.float32)
        return candidates

    def last_values(self, history: History, number: Ids, origins: Ids) -> Numbers:
        """Returns the last values before origins, (…, C, L), relative to level and scale; 0 before the first one."""
        back = np.arange(self.window)
        place = origins[..., None] - back  # (…, L), newest first
        start = history.series.starts[number]
        usable = (place >= 0)[..., None]
        at = start + origins
        level, scale = history.levels[at][..., None, :], history.scales[at][..., None, :]  # (…, 1, C)
        values = history.filled[np.where(place >= 0, start[..., None] + place, 0)]  # (…, L, C)
        relative = np.clip(np.where(usable, (values - level) / scale, 0.0), -_LARGEST, _LARGEST)
        numbers: Numbers = np.moveaxis(relative, -1, -2).astype(np.float32)
        return numbers

    @property
    def seasonal_naive(self) -> int:
        """The place of the seasonal naive forecast among the candidates."""
        return 2

    def _slope(
        self, history: History, start: Ids, origins: Ids, level: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Returns the mean change of the level per step over the last steps, (…, C)."""
        span = np.minimum(self.slope_span, origins)
        earlier = history.levels[start + origins - span]
        return np.asarray((level - earlier) / np.maximum(span, 1)[..., None])

    def calendar(self, series: Collection, number: Ids, positions: Ids) -> Numbers:
        """Returns the calendar at positions of series, (…, calendar_size)."""
        if not self.calendar_size:
            return np.zeros((*positions.shape, 0), dtype=np.float32)
        first = series.first[number]
        if self.frequency.unit == "fixed":
            return calendar(first + positions * self.frequency.size, self.circles)
        times = np.empty(positions.shape, dtype=np.int64)
        for one in np.unique(first).tolist():
            same = np.broadcast_to(first == one, positions.shape)
            times[same] = self.frequency.times(positions[same], one)
        return calendar(times, self.circles)


def covariates_at(table: Numbers, series: Collection, number: Ids, positions: Ids) -> Numbers:
    """Returns covariates (…, K) at positions of series: NaN where missing or after the end."""
    inside = (positions >= 0) & (positions < series.lengths[number])
    if not table.shape[1]:
        return np.zeros((*positions.shape, 0), dtype=np.float32)
    rows = table[np.where(inside, series.starts[number] + positions, 0)]
    return np.where(inside[..., None], rows, np.float32(np.nan)).astype(np.float32)


def usable_seasons(seasons: Sequence[int]) -> tuple[int, ...]:
    """Returns the two shortest distinct seasons, ascending."""
    return tuple(sorted(set(seasons))[:2])
