"""The level and the scale of a series at each step, by exponential smoothing of the values up to it.

Inputs and outputs of the network are relative to them: y = l_t + s_t · v. Both follow from the past alone and cost the
same at each step, so that a series can be read as it arrives, and levels may shift. (Smyl 2020, "A hybrid method of
exponential smoothing and recurrent neural networks", scales by such a level too, and learns the smoothing.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
# Lowest scale as a share of the level, and at a level of 0: a constant series has no scale.
_FLOOR, _ZERO_FLOOR = 1e-3, 1e-6


class Level(NamedTuple):
    """The smoothed level and scale of one channel, and the number of values behind them."""

    level: float = 0.0
    deviation: float = 0.0
    values: int = 0

    @property
    def scale(self) -> float:
        """The scale, which is never 0."""
        return max(self.deviation, _FLOOR * abs(self.level), _ZERO_FLOOR)


@dataclass(frozen=True)
class Smoothing:
    """Weights of new values.

    Args:
        level_span: the level is a mean over about this many steps.
        scale_span: the scale is a mean over about this many steps.
    """

    level_span: float
    scale_span: float

    def step(self, state: Level, value: float) -> Level:
        """Returns the state after a value; a missing one (NaN) changes nothing.

            l_t = l_{t-1} + a · (y_t - l_{t-1}),  d_t = d_{t-1} + b · (|y_t - l_{t-1}| - d_{t-1})

        with a = 2 / (span + 1), or 1/n for the first values, so that they start as plain means.
        """
        if value != value:
            return state
        level, deviation, count = state
        if not count:
            return Level(value, 0.0, 1)
        difference = value - level
        a = max(2.0 / (self.level_span + 1.0), 1.0 / (count + 1.0))
        b = max(2.0 / (self.scale_span + 1.0), 1.0 / count)
        return Level(level + a * difference, deviation + b * (abs(difference) - deviation), count + 1)

    def run(self, values: Values, state: Level) -> tuple[Values, Values, Level]:
        """Returns the level and the mean deviation after each of the values (T,), and the last state."""
        levels, deviations = np.empty(len(values)), np.empty(len(values))
        for place, value in enumerate(values.tolist()):
            state = self.step(state, value)
            levels[place], deviations[place] = state.level, state.deviation
        return levels, deviations, state

    def step_rows(self, levels: Values, deviations: Values, counts: Values, values: Values) -> tuple[Values, Values]:
        """Returns the levels and deviations of many rows after a value of each; `step` for arrays, without NaN."""
        differences = values - levels
        a = np.maximum(2.0 / (self.level_span + 1.0), 1.0 / (counts + 1.0))
        b = np.maximum(2.0 / (self.scale_span + 1.0), 1.0 / np.maximum(counts, 1.0))
        first = counts == 0
        level = np.where(first, values, levels + a * differences)
        return level, np.where(first, 0.0, deviations + b * (np.abs(differences) - deviations))


def scale_of(levels: Values, deviations: Values) -> Values:
    """Returns the scale of many rows, as `Level.scale`."""
    return np.maximum(np.maximum(deviations, _FLOOR * np.abs(levels)), _ZERO_FLOOR)


def smoothing_for(seasons: list[int]) -> Smoothing:
    """Returns the smoothing for the lengths of seasons, shortest first: the level averages over one of the shortest."""
    span = max(seasons[0], 8)
    return Smoothing(float(span), float(max(4 * span, 2 * seasons[-1])))


def filled(values: Values, levels: Values, season: int) -> Values:
    """Returns values (T,) with missing ones replaced by those a season before, or by the level if there are none.

    Only inputs of the network are filled in this way; nothing is learned from a missing value as a target.
    """
    result = values.copy()
    for place in np.flatnonzero(np.isnan(values)).tolist():
        result[place] = result[place - season] if place >= season else levels[place]
    return result
