"""The features of a transcriber: how they are computed from audio or read, normalised, and streamed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.data.audio.deltas import deltas
from recurra.data.audio.extraction import FeatureExtractor
from recurra.data.audio.feature_files import read_features
from recurra.data.audio.feature_statistics import FeatureStatistics
from recurra.data.audio.filterbank import FilterbankOptions
from recurra.data.audio.normalisation import STREAMING, Normaliser
from recurra.data.audio.reading import audio_info
from recurra.data.audio.utterances import Utterance
from recurra.errors import InputError
from recurra.tasks.transcriber.augment import Augmenter, MelBands, augmenter
from recurra.tasks.transcriber.options import AugmentOptions, FeatureOptions

Frames = npt.NDArray[np.float32]

# Rates above it add little to speech; lower ones are kept.
_HIGHEST_RATE = 16000
_LOW = 20.0


@dataclass(frozen=True, kw_only=True)
class FeatureSettings:
    """The features that a network reads; stored with it.

    Args:
        rate: samples per second of audio; None if features are read from files.
        width: numbers per frame before differences are added, F.
        frame_ms: length of a frame, in milliseconds.
        shift_ms: time from one frame to the next, in milliseconds.
        padding_ms: silence that is added after a recording, in milliseconds.
        deltas: whether differences over time are added.
        normalise: the kind of normalisation.
        cepstra: whether features in files are cepstra.
    """

    rate: int | None
    width: int
    frame_ms: float
    shift_ms: float
    padding_ms: float
    deltas: bool
    normalise: str
    cepstra: bool

    @classmethod
    def of(cls, options: FeatureOptions, utterances: list[Utterance]) -> FeatureSettings:
        """Returns the settings for training data; the first recording that can be read decides.

        Raises:
            InputError: audio and features are mixed, or options do not fit.
        """
        is_features = utterances[0].is_features
        for utterance in utterances:
            if utterance.is_features != is_features:
                raise InputError(f"{utterance.place}: audio and features are mixed: expected one of them everywhere")
        if is_features:
            rate, width = None, _first(utterances, lambda one: read_features(one.path).shape[1])
        else:
            rate = options.rate or min(_HIGHEST_RATE, _first(utterances, lambda one: audio_info(one.path).rate))
            width = options.mels
        if options.cepstra and not is_features:
            raise InputError("cepstra: only for features that are read from files: leave it out")
        if is_features and options.rate is not None:
            raise InputError(f"rate={options.rate}: only for audio, but {utterances[0].place} names features")
        return cls(
            rate=rate,
            width=width,
            frame_ms=options.frame_ms,
            shift_ms=options.shift_ms,
            padding_ms=options.padding_ms,
            deltas=options.deltas,
            normalise=options.normalise,
            cepstra=options.cepstra,
        )

    @property
    def size(self) -> int:
        """Numbers per frame that the network reads."""
        return self.width * (3 if self.deltas else 1)

    @property
    def frame_seconds(self) -> float:
        """Time from one frame to the next."""
        return self.shift_ms / 1000

    @property
    def streams(self) -> bool:
        """Whether a frame is normalised without later frames."""
        return self.normalise in STREAMING

    @property
    def filterbank(self) -> FilterbankOptions:
        """The filterbank for audio.

        Raises:
            InputError: the model reads features from files.
        """
        if self.rate is None:
            raise InputError("this model reads features, not audio: name a manifest with a column features")
        return FilterbankOptions(
            rate=self.rate, mels=self.width, frame_ms=self.frame_ms, shift_ms=self.shift_ms, low=_LOW
        )

    @property
    def extractor(self) -> FeatureExtractor:
        """What computes the features of audio."""
        # Features from files need no filterbank.
        return FeatureExtractor() if self.rate is None else FeatureExtractor(filterbank=self.filterbank)

    def check_kind(self, utterance: Utterance) -> None:
        """Refuses audio for a model of features, and features for a model of audio."""
        if utterance.is_features != (self.rate is None):
            expected = "features" if self.rate is None else "audio"
            raise InputError(f"{utterance.place}: {utterance.name}: expected {expected}, as in the training data")

    def finish(
        self, features: npt.NDArray[Any], statistics: FeatureStatistics, speaker: FeatureStatistics | None = None
    ) -> Frames:
        """Returns what the network reads, (T, size), of features (T, width).

        Args:
            features: not normalised.
            statistics: of the training data.
            speaker: those of the speaker, if they are known.
        """
        normalised = self.with_deltas(self.normaliser(statistics)(features, speaker))
        return np.concatenate([normalised, self.silence()])

    @property
    def padding(self) -> int:
        """Frames of silence that are added after a recording."""
        return round(self.padding_ms / self.shift_ms)

    def silence(self) -> Frames:
        """Returns the frames that are added after a recording, (padding, size): the mean of normalised features."""
        return np.zeros((self.padding, self.size), np.float32)

    def with_deltas(self, features: Frames) -> Frames:
        """Returns normalised features (T, size) with differences over time, if the network reads them."""
        if not self.deltas:
            return features
        return deltas(features) if len(features) else np.zeros((0, self.size), np.float32)

    def normaliser(self, statistics: FeatureStatistics) -> Normaliser:
        """Returns the normalisation with the statistics of the training data."""
        return Normaliser(self.normalise, statistics)  # type: ignore[arg-type]

    def augmenter(self, options: AugmentOptions) -> Augmenter:
        """Returns what changes features in training."""
        bands = None
        if self.rate is not None:
            bands = MelBands(self.width, _LOW, self.rate / 2, self.frame_ms / 1000)
        return augmenter(
            options, features=self.width, cepstra=self.cepstra, bands=bands, frame_seconds=self.frame_seconds
        )

    def to_plain(self) -> dict[str, Any]:
        """Returns the settings for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_plain(cls, plain: Any, where: Path) -> FeatureSettings:
        """Returns the settings that `to_plain` returned.

        Raises:
            InputError: a field is missing, unknown or out of range.
        """
        expected = {field.name for field in fields(cls)}
        if not isinstance(plain, dict) or plain.keys() != expected:
            raise InputError(f"{where}: features: expected the fields {', '.join(sorted(expected))}")
        try:
            # The options check the ranges.
            FeatureOptions(
                rate=plain["rate"],
                frame_ms=plain["frame_ms"],
                shift_ms=plain["shift_ms"],
                padding_ms=plain["padding_ms"],
                normalise=plain["normalise"],
            )
        except TypeError:
            raise InputError(f"{where}: features: a field has a wrong type: {plain}") from None
        if not isinstance(plain["width"], int) or plain["width"] < 1:
            raise InputError(f"{where}: features: width={plain['width']!r}, expected 1 or more")
        return cls(**plain)


def _first(utterances: list[Utterance], read: Any) -> Any:
    """Returns what `read` returns for the first utterance that it can read."""
    problem = None
    for utterance in utterances[:100]:
        try:
            return read(utterance)
        except InputError as error:
            problem = problem or error
    assert problem is not None
    raise problem
