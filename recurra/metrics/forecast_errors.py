"""Errors of point forecasts, by series and by step of the horizon.

MAE    mean |y - f|                                 over all values
RMSE   root of the mean (y - f)²                    over all values
sMAPE  mean 200 |y - f| / (|y| + |f|), 0 to 200     per series, then over series
MASE   MAE of a series / MAE of the seasonal naive forecast of its training part one step ahead; mean over series
OWA    mean of sMAPE and MASE, each relative to that of the forecast Naive 2 (Makridakis et al. 2018, M4)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


class PointErrors:
    """Sums of errors, to which forecasts are added a part at a time.

    Args:
        series: N, number of series.
        horizon: H.
    """

    def __init__(self, series: int, horizon: int) -> None:
        self._sums = {name: np.zeros((series, horizon)) for name in ("absolute", "squared", "symmetric", "count")}

    def add(self, number: npt.NDArray[np.int64], target: Values, point: Values, mean: Values | None = None) -> None:
        """Adds forecasts.

        Args:
            number: (n,), series.
            target: (n, C, H), NaN where missing.
            point: (n, C, H), of which the absolute errors are taken.
            mean: (n, C, H), of which the squared errors are taken; `point` if None.
        """
        error = np.abs(target - point)
        size = np.abs(target) + np.abs(point)
        ratio = 200 * np.divide(error, size, out=np.zeros_like(error), where=size != 0)
        squared = np.square(target - (point if mean is None else mean))
        present = np.isfinite(target)
        for name, values in (("absolute", error), ("squared", squared), ("symmetric", ratio), ("count", present)):
            np.add.at(self._sums[name], number, np.where(present, values, 0.0).sum(axis=1))

    def scores(self, scales: Values) -> dict[str, float]:
        """Returns mae, rmse, smape and mase over everything.

        Args:
            scales: (N,), the divisor of MASE of each series; series without one are left out of MASE.
        """
        return _scores({name: sums.sum(axis=1) for name, sums in self._sums.items()}, scales)

    def by_step(self, scales: Values) -> dict[str, list[float]]:
        """Returns the scores of each step of the horizon."""
        steps = [
            _scores({name: sums[:, step] for name, sums in self._sums.items()}, scales)
            for step in range(self._sums["count"].shape[1])
        ]
        return {name: [step[name] for step in steps] for name in steps[0]}

    def by_series(self, scales: Values) -> dict[str, list[float]]:
        """Returns the scores of each series."""
        every = [
            _scores({name: sums[[number]].sum(axis=1) for name, sums in self._sums.items()}, scales[[number]])
            for number in range(len(scales))
        ]
        return {name: [one[name] for one in every] for name in every[0]}


def _scores(sums: Mapping[str, Values], scales: Values) -> dict[str, float]:
    """Scores from sums of each series (N,)."""
    count = sums["count"]
    total = max(float(count.sum()), 1.0)
    scored = count > 0
    mean_absolute = sums["absolute"][scored] / count[scored]
    scaled = scales[scored] > 0
    return {
        "mae": float(sums["absolute"].sum()) / total,
        "rmse": float(np.sqrt(sums["squared"].sum() / total)),
        "smape": _mean(sums["symmetric"][scored] / count[scored]),
        "mase": _mean(mean_absolute[scaled] / scales[scored][scaled]),
    }


def _mean(values: Values) -> float:
    return float(values.mean()) if len(values) else float("nan")


def owa(scores: Mapping[str, float], naive2: Mapping[str, float]) -> float:
    """Returns the overall weighted average of the M4 competition relative to the scores of Naive 2."""
    return (scores["smape"] / naive2["smape"] + scores["mase"] / naive2["mase"]) / 2
