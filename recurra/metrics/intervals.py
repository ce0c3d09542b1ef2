"""Scores of forecast distributions that are described by quantiles.

pinball_q  max(q (y - f_q), (q - 1) (y - f_q))
wQL        2 Σ mean_q pinball_q / Σ |y|, the weighted quantile loss over the levels 0.1, …, 0.9
CRPS       2 mean_q pinball_q over the same levels, in the units of the data, which approximates the integral
coverage   share of values within a central interval
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
_DECILES = tuple(round(0.1 * tenth, 1) for tenth in range(1, 10))
INTERVALS = {50: (0.25, 0.75), 80: (0.1, 0.9), 95: (0.025, 0.975)}
"""Central intervals in per cent, and the levels of their ends."""


def pinball(target: Values, quantiles: Values, levels: Sequence[float]) -> Values:
    """Returns the pinball losses (…, Q) of quantiles (…, Q) for targets (…)."""
    error = target[..., None] - quantiles
    q = np.asarray(levels)
    return np.asarray(np.maximum(q * error, (q - 1) * error))


class IntervalScores:
    """Sums of scores, to which forecasts are added a part at a time.

    Args:
        levels: of the quantiles, ascending, with the deciles and the ends of `INTERVALS` among them.
        horizon: H.
    """

    def __init__(self, levels: Sequence[float], horizon: int) -> None:
        self._deciles = [levels.index(level) for level in _DECILES]
        self._ends = {share: tuple(map(levels.index, ends)) for share, ends in INTERVALS.items()}
        self._loss, self._size, self._count = np.zeros(horizon), np.zeros(horizon), np.zeros(horizon)
        self._inside = {share: np.zeros(horizon) for share in INTERVALS}

    def add(self, target: Values, quantiles: Values) -> None:
        """Adds targets (n, C, H), NaN where missing, and their quantiles (n, C, H, Q)."""
        present = np.isfinite(target)
        losses = pinball(target, quantiles[..., self._deciles], _DECILES).mean(axis=-1)
        self._loss += np.where(present, 2 * losses, 0.0).sum(axis=(0, 1))
        self._size += np.where(present, np.abs(target), 0.0).sum(axis=(0, 1))
        self._count += present.sum(axis=(0, 1))
        for share, (low, high) in self._ends.items():
            inside = (quantiles[..., low] <= target) & (target <= quantiles[..., high])
            self._inside[share] += (inside & present).sum(axis=(0, 1))

    def scores(self) -> dict[str, float]:
        """Returns wql, crps and the coverages over everything."""
        return _interval_scores(
            self._loss.sum(), self._size.sum(), self._count.sum(), {k: v.sum() for k, v in self._inside.items()}
        )

    def by_step(self) -> dict[str, list[float]]:
        """Returns the scores of each step of the horizon."""
        steps = [
            _interval_scores(
                self._loss[step], self._size[step], self._count[step], {k: v[step] for k, v in self._inside.items()}
            )
            for step in range(len(self._loss))
        ]
        return {name: [step[name] for step in steps] for name in steps[0]}


def _interval_scores(loss: float, size: float, count: float, inside: dict[int, float]) -> dict[str, float]:
    count = max(float(count), 1.0)
    shares = {f"coverage_{share}": float(values) / count for share, values in inside.items()}
    return {"wql": float(loss / size) if size else float("nan"), "crps": float(loss) / count, **shares}
