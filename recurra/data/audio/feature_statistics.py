"""Mean and variance of features, merged over utterances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.errors import InputError

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Mean and variance of each coefficient over frames.

    Args:
        frames: number of frames.
        mean: (F,) float64.
        variance: (F,) float64, the mean squared deviation.
    """

    frames: int
    mean: Vector
    variance: Vector

    @classmethod
    def empty(cls, width: int) -> FeatureStatistics:
        """Returns the statistics of no frames of `width` coefficients."""
        return cls(0, np.zeros(width), np.zeros(width))

    @classmethod
    def of(cls, features: npt.NDArray[Any]) -> FeatureStatistics:
        """Returns the statistics of features (T, F)."""
        values = np.asarray(features, dtype=np.float64)
        if not len(values):
            return cls.empty(values.shape[1])
        return cls(len(values), values.mean(axis=0), values.var(axis=0))

    def merged(self, other: FeatureStatistics) -> FeatureStatistics:
        """Returns the statistics of the frames of both (Chan, Golub, LeVeque 1979, equation 2.1)."""
        frames = self.frames + other.frames
        if not frames:
            return self
        share = other.frames / frames
        difference = other.mean - self.mean
        between = difference**2 * share * (1 - share)
        variance = self.variance * (1 - share) + other.variance * share + between
        return FeatureStatistics(frames, self.mean + difference * share, variance)

    def to_plain(self) -> dict[str, Any]:
        """Returns the statistics as numbers and lists for JSON, exactly."""
        return {"frames": self.frames, "mean": self.mean.tolist(), "variance": self.variance.tolist()}

    @classmethod
    def from_plain(cls, plain: Any) -> FeatureStatistics:
        """Returns the statistics that `to_plain` converted.

        Raises:
            InputError: something is missing or of a wrong type, or numbers are not finite or negative.
        """
        try:
            frames = int(plain["frames"])
            mean, variance = (np.array(plain[name], dtype=np.float64) for name in ("mean", "variance"))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not statistics of features: {type(error).__name__}: {error}") from None
        valid = mean.ndim == 1 and mean.shape == variance.shape and np.isfinite([mean, variance]).all()
        if not valid or frames < 0 or (variance < 0).any():
            raise InputError("not statistics of features: expected finite means and variances of equal number")
        return cls(frames, mean, variance)
