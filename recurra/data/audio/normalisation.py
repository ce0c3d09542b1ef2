"""Normalisation of features to mean 0 and variance 1, over an utterance, a speaker, the past or a training set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from recurra.data.audio.feature_statistics import FeatureStatistics
from recurra.errors import InputError

Frames = npt.NDArray[np.float32]
Kind = Literal["utterance", "speaker", "running", "global", "none"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# The kinds that need no later frames, so that a stream can have them.
STREAMING: tuple[Kind, ...] = ("running", "global", "none")
# One second at the usual distance of frames.
PRIOR_FRAMES = 100.0
# Variances below are raised to it: a constant coefficient becomes zero rather than the amplified error of rounding.
_LOWEST_VARIANCE = 1e-10


class FrameStream(Protocol):
    """Converts frames that arrive in pieces."""

    def accept(self, features: npt.NDArray[Any]) -> Frames:
        """Returns the frames (n, F), converted."""


class RunningNormaliser:
    """Normalises frames that arrive in pieces by what is known at each of them.

    Frame t is normalised by the mean and the variance of `prior_frames` frames with the training set's statistics and
    of the frames 0 … t of this utterance. The sums are continued in one order in float64, so that the result does not
    depend on the pieces: all of them, concatenated, are equal to that of the whole to the bit.

    Frames of digital silence, all of whose coefficients are equal, say nothing of voice and room: they do not count,
    and become 0, the mean. Otherwise a second of it before a word would change mean and variance beyond recognition.

    Args:
        statistics: the training set's.
        prior_frames: the weight of `statistics`, as a number of frames; 0 or more.
    """

    def __init__(self, statistics: FeatureStatistics, prior_frames: float = PRIOR_FRAMES) -> None:
        if not 0 <= prior_frames < math.inf:
            raise InputError(f"prior_frames={prior_frames}, expected 0 or more")
        self._mean = statistics.mean
        self._weight = float(prior_frames)
        # Sums of deviations from the training set's mean and of their squares: without large equal parts that cancel.
        self._sum = np.zeros_like(statistics.mean)
        self._squares = prior_frames * statistics.variance

    def accept(self, features: npt.NDArray[Any]) -> Frames:
        """Returns the next frames (n, F), normalised; float32."""
        _check_width(features, len(self._mean))
        if not len(features):
            return np.zeros(features.shape, np.float32)
        audible = (features != features[:, :1]).any(1, keepdims=True)  # (n, 1)
        if features.shape[1] == 1:
            audible[:] = True
        deviations = np.where(audible, features - self._mean, 0.0)  # (n, F) float64
        sums = _continued(self._sum, deviations)
        squares = _continued(self._squares, deviations**2)
        weights = self._weight + np.cumsum(audible, axis=0, dtype=np.float64)
        self._sum, self._squares, self._weight = sums[-1], squares[-1], float(weights[-1, 0])
        # Nothing may have counted yet.
        weights = np.maximum(weights, np.finfo(np.float64).tiny)
        mean = sums / weights
        return _scaled((deviations - mean) * audible, squares / weights - mean**2)


class _FixedNormaliser:
    """Normalises frames by one mean and variance."""

    def __init__(self, statistics: FeatureStatistics) -> None:
        self._statistics = statistics

    def accept(self, features: npt.NDArray[Any]) -> Frames:
        _check_width(features, len(self._statistics.mean))
        return _scaled(features - self._statistics.mean, self._statistics.variance)


class _Unchanged:
    """Returns frames as they are."""

    def accept(self, features: npt.NDArray[Any]) -> Frames:
        return np.asarray(features, dtype=np.float32)


@dataclass(frozen=True)
class Normaliser:
    """A kind of normalisation with the training set's statistics.

    Args:
        kind: "utterance": by the mean and variance of the utterance; "speaker": of all utterances of its speaker;
            "running": see `RunningNormaliser`; "global": of the training set; "none".
        statistics: the training set's; needed by "running" and "global", and by "speaker" for utterances whose speaker
            is unknown.
        prior_frames: for "running".

    Raises:
        InputError: the kind is unknown, or its statistics are missing.
    """

    kind: Kind
    statistics: FeatureStatistics | None = None
    prior_frames: float = PRIOR_FRAMES

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"normalisation {self.kind!r}, expected {', '.join(KINDS)}")
        if self.statistics is None and self.kind in ("running", "global"):
            raise InputError(f"normalisation {self.kind!r} needs the statistics of the training set")

    def __call__(self, features: npt.NDArray[Any], speaker: FeatureStatistics | None = None) -> Frames:
        """Returns the features of an utterance, normalised.

        Args:
            features: (T, F).
            speaker: for "speaker": the statistics of its speaker; None if the speaker is unknown.

        Returns:
            (T, F) float32.
        """
        if self.kind == "utterance":
            return normalise(features, "utterance")
        if self.kind == "speaker":
            return normalise(features, "speaker", self.statistics if speaker is None else speaker)
        return self.stream().accept(features)

    def stream(self) -> FrameStream:
        """Returns a normaliser for frames that arrive in pieces, for one utterance.

        Raises:
            InputError: the kind needs later frames.
        """
        if self.kind not in STREAMING:
            raise InputError(
                f"normalisation {self.kind!r} needs whole utterances, expected {' or '.join(STREAMING)} for a stream"
            )
        if self.kind == "none" or self.statistics is None:
            return _Unchanged()
        if self.kind == "running":
            return RunningNormaliser(self.statistics, self.prior_frames)
        return _FixedNormaliser(self.statistics)


def normalise(
    features: npt.NDArray[Any],
    kind: Kind,
    statistics: FeatureStatistics | None = None,
    *,
    prior_frames: float = PRIOR_FRAMES,
) -> Frames:
    """Normalises the features of an utterance.

    Args:
        features: (T, F).
        kind: see `Normaliser`.
        statistics: those of the speaker for "speaker", of the training set for "running" and "global".
        prior_frames: for "running".

    Returns:
        (T, F) float32; (0, F) for an utterance without frames.

    Raises:
        InputError: the kind is unknown, its statistics are missing, or they have another number of coefficients.
    """
    if kind == "utterance":
        return _FixedNormaliser(FeatureStatistics.of(features)).accept(features)
    if kind == "speaker":
        if statistics is None:
            raise InputError("normalisation 'speaker' needs the statistics of the speaker")
        return _FixedNormaliser(statistics).accept(features)
    return Normaliser(kind, statistics, prior_frames).stream().accept(features)


def _continued(total: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The sum of `total` (F,) and the values up to each row of (n, F), added in their order."""
    return np.cumsum(np.concatenate([total[None], values]), axis=0)[1:]


def _scaled(deviations: npt.NDArray[np.float64], variance: npt.NDArray[np.float64]) -> Frames:
    return (deviations / np.sqrt(np.maximum(variance, _LOWEST_VARIANCE))).astype(np.float32)


def _check_width(features: npt.NDArray[Any], width: int) -> None:
    if features.ndim != 2 or features.shape[1] != width:
        raise InputError(f"features of shape {features.shape}, expected (frames, {width}) as in the statistics")
