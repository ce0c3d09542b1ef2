"""Random changes of log-mel features: other speeds, voices, rooms, noises and microphones.

All changes are computed on the energies of mel bands, which are kept on disk, so that no audio is read again: energies
of a sound and of an unrelated noise add up, a room adds energies of earlier frames that decay exponentially, and a
shorter vocal tract moves the bands upwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.data.audio.filterbank import LOWEST_ENERGY
from recurra.tasks.transcriber.options import AugmentOptions

Array = npt.NDArray[Any]

# Above this share of the highest frequency a warp is linear down to factor 1, so that the bands stay within the range.
_KNEE = 0.8
# Signal-to-noise ratios, in dB; a dB is 0.23 nats of energy.
_SNR, _NATS_PER_DB = (0.0, 35.0), np.log(10) / 10
# Reverberation times (the energy falls by 60 dB), in seconds, and the energy of the room against the direct sound.
_REVERBERATION, _ROOM_DECADES = (0.1, 0.6), (-1.2, 0.0)
_BANDS_OF_CEPSTRA = 40
# Pauses, in seconds, and the share of those before and after a recording that are digital silence: samples of 0.
_PAUSE_SECONDS, _DIGITAL = 0.6, 0.25
# The length of a recording of which `time_masks` parts are masked.
_MASKED_SECONDS = 3.0


@dataclass(frozen=True)
class MelBands:
    """The bands of a mel spectrum.

    Args:
        count: M.
        low: the lower end of the first band, in Hz.
        high: the upper end of the last band, in Hz.
        bins_per_hz: independent values of a spectrum per Hz, the length of a frame in seconds.
    """

    count: int
    low: float
    high: float
    bins_per_hz: float = 0.025

    @cached_property
    def mel(self) -> Array:
        """The centres (M,) in mel."""
        return np.asarray(np.linspace(_mel(self.low), _mel(self.high), self.count + 2)[1:-1])

    @cached_property
    def hertz(self) -> Array:
        """The centres (M,) in Hz."""
        return np.asarray(_hertz(self.mel))

    @cached_property
    def bins(self) -> Array:
        """Independent values that a band sums up, (M,): the energy of white noise in it varies the less, the more."""
        return np.maximum(np.gradient(self.hertz) * self.bins_per_hz, 0.7)

    def warp(self, features: Array, factor: float) -> Array:
        """Returns log energies (T, M) with band f read at `factor` · f: frequencies divided by `factor`."""
        knee, top = _KNEE * self.high / max(factor, 1), self.high
        straight = self.hertz * factor
        bent = knee * factor + (top - knee * factor) * (self.hertz - knee) / (top - knee)
        place = _mel(np.where(self.hertz <= knee, straight, bent))
        place = np.clip((place - self.mel[0]) / (self.mel[1] - self.mel[0]), 0, self.count - 1.0001)
        lower = place.astype(np.int64)
        share = (place - lower).astype(features.dtype)
        return np.asarray(features[:, lower] * (1 - share) + features[:, lower + 1] * share)


class Cepstra:
    """Cepstra (T, F), the cosine transform of a log-mel spectrum, as a smooth spectrum and back.

    Args:
        count: F; the first is the energy.
    """

    def __init__(self, count: int) -> None:
        bands = _BANDS_OF_CEPSTRA
        angles = np.pi * np.arange(count) * (np.arange(bands)[:, None] + 0.5) / bands
        self.bands = MelBands(bands, 130.0, 6800.0)
        self._inverse = np.cos(angles)  # (M, F)
        self._forward = self._inverse.T * np.where(np.arange(count) == 0, 1, 2)[:, None] / bands  # (F, M)

    def to_spectrum(self, cepstra: Array) -> Array:
        """Returns the spectrum (T, M)."""
        return np.asarray(cepstra @ self._inverse.T)

    def to_cepstra(self, spectrum: Array) -> Array:
        """Returns the cepstra (T, F)."""
        return np.asarray(spectrum @ self._forward.T)


@dataclass(frozen=True)
class Example:
    """One example of training data.

    Args:
        features: (T, F), not normalised.
        lead: frames of the pause that was added at its start.
    """

    features: Array
    lead: int = 0


class Augmenter:
    """Changes recordings at random.

    Args:
        options: how much.
        bands: the bands of the features; None if they are no log-mel energies, so that only speed and masks apply.
        cepstra: the transform, if the features are cepstra of these bands.
        frame_seconds: time from one frame to the next.
    """

    def __init__(
        self, options: AugmentOptions, bands: MelBands | None, *, cepstra: Cepstra | None, frame_seconds: float
    ) -> None:
        self._options, self._bands, self._cepstra, self._frame_seconds = options, bands, cepstra, frame_seconds

    def example(self, parts: list[Array], generator: np.random.Generator) -> Example:
        """Returns one example of one or more recordings (T_i, F) of a speaker, joined with pauses."""
        parts = [self._speed(part, generator) for part in parts]
        if self._cepstra is not None:
            parts = [self._cepstra.to_spectrum(part) for part in parts]
        before, after = (generator.random(2) < self._options.pauses).tolist()
        # Digital silence has no noise and no room, so that it is added last.
        silent = self._bands is not None and self._cepstra is None and generator.random() < _DIGITAL
        features, lead = self._join(parts, generator, before=before and not silent, after=after and not silent)
        if self._bands is not None and len(features):
            features = self._channel(features, self._bands, generator)
        if silent:
            features, lead = self._digital_silence(features, generator, before=before, after=after)
        if self._cepstra is not None:
            features = self._cepstra.to_cepstra(features)
        return Example(features.astype(np.float32), lead)

    def mask(self, features: Array, generator: np.random.Generator) -> Array:
        """Returns normalised features (T, F) with times and frequencies set to 0, the mean (Park et al. 2019)."""
        options, (T, F) = self._options, features.shape
        features = features.copy()
        longest = round(0.2 / self._frame_seconds)
        # On average: a short word, which would lose a sound by each part, has none.
        for _ in range(generator.poisson(options.time_masks * T * self._frame_seconds / _MASKED_SECONDS)):
            width = int(generator.integers(0, min(longest, max(1, T // 4)) + 1))
            start = int(generator.integers(0, T - width + 1))
            features[start : start + width] = 0
        for _ in range(options.frequency_masks if self._cepstra is None else 0):
            width = int(generator.integers(0, F // 5 + 1))
            start = int(generator.integers(0, F - width + 1))
            features[:, start : start + width] = 0
        return features

    def _speed(self, features: Array, generator: np.random.Generator) -> Array:
        """Reads a recording faster or slower, at the same frequencies."""
        factor = generator.uniform(1 - self._options.speed, 1 + self._options.speed)
        T = len(features)
        if T < 4 or not self._options.speed:
            return features
        place = np.linspace(0, T - 1, max(4, round(T / factor)))
        lower = np.minimum(place.astype(np.int64), T - 2)
        share = (place - lower)[:, None].astype(features.dtype)
        return np.asarray(features[lower] * (1 - share) + features[lower + 1] * share)

    def _join(
        self, parts: list[Array], generator: np.random.Generator, *, before: bool, after: bool
    ) -> tuple[Array, int]:
        """Returns recordings (T, F) joined with pauses of their quietest sound, and the frames of the first pause."""
        if not any(len(part) for part in parts):
            return np.concatenate(parts), 0
        lead = self._pause(parts, generator) if before else parts[0][:0]
        joined = [lead]
        for number, part in enumerate(parts):
            if number:
                joined.append(self._pause(parts, generator))
            joined.append(part)
        if after:
            joined.append(self._pause(parts, generator))
        return np.concatenate(joined), len(lead)

    def _digital_silence(
        self, features: Array, generator: np.random.Generator, *, before: bool, after: bool
    ) -> tuple[Array, int]:
        """Returns features (T, F) with samples of 0 before and after them, and the frames before them."""
        lead, trail = (self._pause_frames(generator) * wanted for wanted in (before, after))
        return np.pad(features, ((lead, trail), (0, 0)), constant_values=LOWEST_ENERGY), lead

    def _pause_frames(self, generator: np.random.Generator) -> int:
        return int(generator.integers(0, round(_PAUSE_SECONDS / self._frame_seconds) + 1))

    def _pause(self, parts: list[Array], generator: np.random.Generator) -> Array:
        frames = self._pause_frames(generator)
        quiet = min((part[part.mean(1).argmin()] for part in parts if len(part)), key=np.mean)
        level = quiet - generator.uniform(0, 3)
        return np.asarray(level + 0.5 * generator.standard_normal((frames, len(quiet))))

    def _channel(self, features: Array, bands: MelBands, generator: np.random.Generator) -> Array:
        """Another voice, microphone, room and noise, in this order."""
        options = self._options
        if options.pitch:
            features = bands.warp(features, generator.uniform(1 - options.pitch, 1 + options.pitch))
        if options.microphone:
            features = features + self._colour(bands, generator)
        if options.gain:
            features = features + generator.normal(0, options.gain) * _NATS_PER_DB
        if generator.random() < options.room:
            features = self._room(features, generator)
        if generator.random() < options.noise:
            features = self._noise(features, bands, generator)
        return features

    def _colour(self, bands: MelBands, generator: np.random.Generator) -> Array:
        """A smooth random spectrum (M,) of mean 0."""
        place = np.linspace(0, 1, bands.count)
        weights = generator.normal(0, self._options.microphone / 1.5, 3)
        return np.asarray(sum(weight * np.cos(np.pi * k * place) for k, weight in enumerate(weights, start=1)))

    def _room(self, features: Array, generator: np.random.Generator) -> Array:
        """Adds reverberation: each frame's energy decays exponentially into the next ones."""
        decay = 10 ** (-6 * self._frame_seconds / generator.uniform(*_REVERBERATION))
        gain = 10 ** generator.uniform(*_ROOM_DECADES) * (1 - decay)
        energies = np.exp(np.minimum(features, 60.0))
        room, result = np.zeros(energies.shape[1]), np.empty_like(energies)
        for t, energy in enumerate(energies):
            room = decay * room
            result[t] = energy + gain * room
            room += energy
        return np.asarray(np.log(np.maximum(result, 1e-20)))

    def _noise(self, features: Array, bands: MelBands, generator: np.random.Generator) -> Array:
        """Adds stationary noise of a random colour."""
        level = np.log(np.exp(np.minimum(features, 60.0)).mean()) - generator.uniform(*_SNR) * _NATS_PER_DB
        # White noise has more energy in wider bands.
        white = np.log(bands.bins / bands.bins.mean()) if generator.random() < 0.5 else 0.0
        tilt = generator.normal(0, 1.5) * np.linspace(1, -1, bands.count)
        strength = generator.gamma(bands.bins, 1 / bands.bins, size=features.shape)
        return np.asarray(np.logaddexp(features, level + white + tilt + np.log(np.maximum(strength, 1e-12))))


def augmenter(
    options: AugmentOptions, *, features: int, cepstra: bool, bands: MelBands | None, frame_seconds: float
) -> Augmenter:
    """Returns the augmenter of features with F = `features` per frame; `bands` is None if they come from files."""
    transform = Cepstra(features) if cepstra else None
    if transform is not None:
        bands = transform.bands
    return Augmenter(options, bands, cepstra=transform, frame_seconds=frame_seconds)


def _mel(hertz: Any) -> Any:
    return 1127 * np.log1p(np.asarray(hertz) / 700)


def _hertz(mel: Any) -> Any:
    return 700 * np.expm1(np.asarray(mel) / 1127)
