"""Calibration of intervals on held-out data, and the scores of anomalies.

The distance of each quantile from the median is multiplied by a factor with which the share of held-out values below
it is the nominal one: split conformal prediction with scores relative to the interval (Romano, Patterson & Candès
2019).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.errors import InputError
from recurra.files import read_object
from recurra.tasks.forecaster.distributions import LEVELS, MEDIAN

Values = npt.NDArray[np.float64]
FILE = "calibration.json"
# Held-out values below which a factor is not estimated, and that one should have.
_FEWEST, _ENOUGH = 60, 400
# Stretches of the length of the horizon for factors below 1, and for one per quantile and step.
_FEW_STRETCHES, _MANY_STRETCHES = 10, 50
_LOW, _HIGH = LEVELS.index(0.1), LEVELS.index(0.9)
_SURPRISES = 400


@dataclass(frozen=True)
class Calibration:
    """Corrections of the distributions of a network.

    Args:
        factors: (H, Q), by which the distance of a quantile from the median is multiplied.
        surprises: ascending scores of the held-out values one step ahead, at most a few hundred.
        values: how many held-out values the scores are from.
    """

    factors: Values
    surprises: Values
    values: int

    def apply(self, quantiles: Values) -> Values:
        """Returns calibrated quantiles (…, H, Q), in order; steps after the last calibrated one have its factors."""
        steps = np.minimum(np.arange(quantiles.shape[-2]), len(self.factors) - 1)
        median = quantiles[..., MEDIAN : MEDIAN + 1]
        scaled = median + self.factors[steps] * (quantiles - median)
        scaled[..., MEDIAN:] = np.maximum.accumulate(scaled[..., MEDIAN:], axis=-1)
        scaled[..., : MEDIAN + 1] = np.minimum.accumulate(scaled[..., MEDIAN::-1], axis=-1)[..., ::-1]
        return scaled

    def check_rate(self, false_alarms: float) -> None:
        """Checks that a rate of false alarms can be reached.

        Raises:
            InputError: it is out of range, or lower than the p-value of a value that exceeds all held-out ones.
        """
        if not 0 < false_alarms < 1:
            raise InputError(f"false_alarms={false_alarms}: expected a rate between 0 and 1, such as 0.01")
        lowest = 1 / (self.values + 1)
        if false_alarms < lowest:
            raise InputError(
                f"false_alarms={false_alarms}: the model has {self.values} held-out values, which show rates of "
                f"{lowest:.2g} or more. Accept more false alarms, or train with more --valid-steps"
            )

    def p_value(self, surprise: float) -> float:
        """Returns the share of held-out values that were at least as surprising, never 0."""
        if not len(self.surprises):
            return 1.0
        above = 1 - float(np.searchsorted(self.surprises, surprise, side="left")) / len(self.surprises)
        return (above * self.values + 1) / (self.values + 1)

    def to_plain(self) -> dict[str, Any]:
        """Returns the fields, as JSON can represent them."""
        return {
            "factors": np.round(self.factors, 4).tolist(),
            "surprises": [float(f"{value:.6g}") for value in self.surprises.tolist()],
            "values": self.values,
        }

    def files(self) -> dict[str, str]:
        """Returns the content of `calibration.json`, under its name."""
        return {FILE: json.dumps(self.to_plain()) + "\n"}

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> Calibration:
        """Returns the calibration that `to_plain` described."""
        return cls(np.array(content["factors"]), np.array(content["surprises"]), int(content["values"]))


NO_FILES = {FILE: "{}\n"}
"""The file of a model without a calibration."""


def load_calibration(folder: Path) -> Calibration | None:
    """Reads the file that `Calibration.files` describes; None if the model has no calibration.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = folder / FILE
    content = read_object(path, missing=f"{folder} is not a forecaster, or is incomplete")
    try:
        return Calibration.from_plain(content) if content else None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is damaged ({error}). Restore the file, or train again") from None


def surprise_of(value: npt.ArrayLike, quantiles: Values) -> Values:
    """Returns the distance of values (…) from the median relative to that of the 10 % or 90 % quantile (…, Q)."""
    difference = np.asarray(value) - quantiles[..., MEDIAN]
    width = np.where(
        difference > 0, quantiles[..., _HIGH] - quantiles[..., MEDIAN], quantiles[..., MEDIAN] - quantiles[..., _LOW]
    )
    return np.asarray(np.abs(difference) / np.maximum(width, 1e-12))


def calibrate(targets: Values, quantiles: Values, *, stretches: int) -> Calibration | None:
    """Returns the calibration for held-out values, or None if there are too few.

    Errors of one stretch of time resemble each other: a series that grew faster than before is above the median at
    every step. With few stretches all quantiles have one factor; with very few it is not below 1.

    Args:
        targets: (n, H), NaN where missing, in any units.
        quantiles: (n, H, Q), of the network, in the same units.
        stretches: how many horizons the held-out parts of all series are long together.
    """
    H = targets.shape[1]
    counts = np.isfinite(targets).sum(axis=0)
    if counts.sum() < _FEWEST:
        return None
    if stretches < _MANY_STRETCHES:
        # A network that learned one short series by heart has intervals that are far too narrow. Widening them further
        # for the small number of stretches, as Student's t would, gave coverages of 93 to 100 % in place of 80.
        least = 1.0 if stretches < _FEW_STRETCHES else 0.0
        factor = max(least, _common_factor(targets, quantiles))
        factors = np.full((H, len(LEVELS)), factor)
    else:
        factors = _factors(targets, quantiles, counts)
    first = np.isfinite(targets[:, 0])
    surprises = np.sort(surprise_of(targets[first, 0], quantiles[first, 0]))
    if len(surprises) > _SURPRISES:
        kept = np.linspace(0, len(surprises) - 1, _SURPRISES).round().astype(int)
        return Calibration(factors, surprises[kept], int(first.sum()))
    return Calibration(factors, surprises, int(first.sum()))


def _factors(targets: Values, quantiles: Values, counts: npt.NDArray[np.int64]) -> Values:
    """Returns a factor for each step and quantile, (H, Q)."""
    factors = np.ones((len(counts), len(LEVELS)))
    for step in range(len(counts)):
        low, high = _pool(counts, step)
        for place, level in enumerate(LEVELS):
            if place != MEDIAN:
                factors[step, place] = _factor(targets[:, low:high], quantiles[:, low:high], place, level)
    return factors


def _pool(counts: npt.NDArray[np.int64], step: int) -> tuple[int, int]:
    """Returns the steps around one that together have enough held-out values."""
    low, high = step, step + 1
    while counts[low:high].sum() < _ENOUGH and (low > 0 or high < len(counts)):
        low, high = max(0, low - 1), min(len(counts), high + 1)
    return low, high


def _factor(targets: Values, quantiles: Values, place: int, level: float) -> float:
    """Returns the factor of one quantile, above 0."""
    median = quantiles[..., MEDIAN]
    distance = quantiles[..., place] - median
    usable = np.isfinite(targets) & (np.abs(distance) > 1e-12)
    if usable.sum() < _FEWEST:
        return 1.0
    ratios = (targets[usable] - median[usable]) / np.abs(distance[usable])
    # The finite-sample correction of conformal prediction: one value more, at the far end.
    outer = max(level, 1 - level)
    share = min(1.0, outer * (1 + 1 / usable.sum()))
    factor = np.quantile(ratios, share) if level > 0.5 else -np.quantile(ratios, 1 - share)
    return float(max(factor, 0.05))


def _common_factor(targets: Values, quantiles: Values) -> float:
    """Returns the factor with which the interval of 80 % has 80 % of the values, above 0."""
    ratios = surprise_of(targets, quantiles)
    ratios = ratios[np.isfinite(ratios)]
    return float(max(np.quantile(ratios, 0.8), 0.05)) if len(ratios) >= _FEWEST else 1.0
