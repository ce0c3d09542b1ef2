"""From samples to features: resampling, filterbank and deltas, of whole signals or of streams."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.data.audio.deltas import DeltaStream, deltas
from recurra.data.audio.filterbank import FilterbankOptions, FilterbankStream
from recurra.data.audio.resampling import Resampler

Frames = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class FeatureExtractor:
    """Computes the features of utterances.

    Args:
        filterbank: what is computed of audio.
        delta_window: number of neighbours on each side from which deltas and double deltas are computed; 0 for no
            deltas.
    """

    filterbank: FilterbankOptions = field(default_factory=FilterbankOptions)
    delta_window: int = 0

    @property
    def width(self) -> int:
        """Number of coefficients of the features of audio."""
        return self.filterbank.mels * (3 if self.delta_window else 1)

    def of_samples(self, samples: npt.NDArray[Any], rate: int) -> Frames:
        """Computes the features of a signal (N,) of `rate` samples per second, (T, width)."""
        stream = self.stream(rate)
        return np.concatenate([stream.accept(samples), stream.finish()])

    def of_features(self, features: npt.NDArray[Any]) -> Frames:
        """Returns features (T, F) that were computed elsewhere with the deltas that this extractor adds."""
        features = np.asarray(features, dtype=np.float32)
        return deltas(features, self.delta_window) if self.delta_window else features

    def stream(self, rate: int) -> FeatureStream:
        """Returns what computes the features of a signal that arrives in pieces, at `rate` samples per second."""
        return FeatureStream(self, rate)


class FeatureStream:
    """Computes the features of a signal that arrives in pieces, in constant memory; see `FeatureExtractor.stream`.

    All frames returned, concatenated, are equal to those of the whole signal to the bit.
    """

    def __init__(self, extractor: FeatureExtractor, rate: int) -> None:
        self._resampler = Resampler(rate, extractor.filterbank.rate)
        self._filterbank = FilterbankStream(extractor.filterbank)
        self._deltas = DeltaStream(extractor.delta_window) if extractor.delta_window else None

    def accept(self, samples: npt.NDArray[Any]) -> Frames:
        """Returns the frames that are complete after the next samples (N,)."""
        frames = self._filterbank.accept(self._resampler.accept(samples))
        return frames if self._deltas is None else self._deltas.accept(frames)

    def finish(self) -> Frames:
        """Returns the last frames; no samples follow."""
        frames = np.concatenate([self._filterbank.accept(self._resampler.finish()), self._filterbank.finish()])
        if self._deltas is None:
            return frames
        return np.concatenate([self._deltas.accept(frames), self._deltas.finish()])
