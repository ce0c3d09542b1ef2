"""Log-mel filterbank energies, of a whole signal or as it arrives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.data.audio.libraries import kaldi_native_fbank
from recurra.data.audio.resampling import check_rate
from recurra.errors import InputError

Frames = npt.NDArray[np.float32]
# Kaldi computes with 16-bit numbers: its energies, and the floor of their logarithm, depend on this scale.
_SCALE = np.float32(32768)
# The energy of a filter in digital silence, the smallest that is taken the logarithm of: that of float32's epsilon.
LOWEST_ENERGY = float(np.log(np.finfo(np.float32).eps))
# Samples processed at a time, so that intermediate frames do not grow with a recording.
_BLOCK = 1 << 17
_MARGIN = 1e-3


@dataclass(frozen=True, kw_only=True)
class FilterbankOptions:
    """What a filterbank computes.

    Args:
        rate: samples per second.
        mels: number of triangular filters, evenly spaced in mel.
        frame_ms: length of a frame in milliseconds.
        shift_ms: distance between the starts of frames in milliseconds.
        low: lower frequency limit in Hz.
        high: upper frequency limit in Hz; 0 for half of `rate`, negative for that much below it, as in Kaldi.

    Raises:
        InputError: a value is out of range, or a filter contains no frequency of the spectrum.
    """

    rate: int = 16000
    mels: int = 40
    frame_ms: float = 25.0
    shift_ms: float = 10.0
    low: float = 20.0
    high: float = 0.0

    def __post_init__(self) -> None:
        check_rate(self.rate, "rate")
        if self.mels < 3:
            raise InputError(f"mels={self.mels}, expected 3 or more")
        for name in ("frame_ms", "shift_ms"):
            value = getattr(self, name)
            # At least two samples: the window of a single one is not defined.
            if not (0 < value < math.inf and self._samples(value) >= 2):
                raise InputError(f"{name}={value}, expected at least two samples at rate={self.rate}")
        nyquist = self.rate / 2
        if not 0 <= self.low < self.upper <= nyquist:
            raise InputError(f"low={self.low} and high={self.high}, expected 0 ≤ low < high ≤ {nyquist:g} Hz")
        if _has_empty_filter(self):
            raise InputError(
                f"mels={self.mels} are too many for rate={self.rate} and frame_ms={self.frame_ms}: a filter contains "
                "no frequency of the spectrum. Use fewer"
            )

    @property
    def upper(self) -> float:
        """Upper frequency limit in Hz, as a frequency."""
        return self.high if self.high > 0 else self.rate / 2 + self.high

    @property
    def frame(self) -> int:
        """Number of samples of a frame."""
        return self._samples(self.frame_ms)

    @property
    def shift(self) -> int:
        """Number of samples between the starts of frames."""
        return self._samples(self.shift_ms)

    def frames(self, samples: int) -> int:
        """Returns how many frames a signal has: only those that it fills."""
        return max(0, (samples - self.frame) // self.shift + 1)

    def _samples(self, milliseconds: float) -> int:
        # In the precision and the order of kaldi-native-fbank, so that both round alike.
        return int(np.float32(self.rate) * np.float32(0.001) * np.float32(milliseconds))


class FilterbankStream:
    """Computes log-mel energies of a signal that arrives in pieces, in constant memory.

    Frames are those of Kaldi's compute-fbank-feats without dither: mean removed, pre-emphasis of 0.97, Povey window,
    power spectrum, the natural logarithm of each filter's energy at the scale of 16-bit samples. All frames returned,
    concatenated, are equal to those of the whole signal to the bit.

    Args:
        options: what is computed.
    """

    def __init__(self, options: FilterbankOptions) -> None:
        self._options = options
        self._extractor = _extractor(options)
        self._frames = 0

    def accept(self, samples: npt.NDArray[Any]) -> Frames:
        """Returns the frames that are complete after the next samples.

        Args:
            samples: (N,), in [-1, 1).

        Returns:
            (n, mels) float32.
        """
        scaled = np.asarray(samples, dtype=np.float32) * _SCALE
        pieces = [self._accept(scaled[start : start + _BLOCK]) for start in range(0, len(scaled), _BLOCK)]
        return np.concatenate(pieces) if pieces else self._none()

    def finish(self) -> Frames:
        """Returns the last frames: (0, mels), because samples that do not fill a frame are dropped."""
        return self._none()

    def _accept(self, scaled: Frames) -> Frames:
        self._extractor.accept_waveform(self._options.rate, scaled)
        ready = self._extractor.num_frames_ready
        if ready == self._frames:
            return self._none()
        frames: Frames = np.stack([self._extractor.get_frame(index) for index in range(self._frames, ready)])
        # Without this the extractor keeps every frame. Indices continue to count from the first one.
        self._extractor.pop(ready - self._frames)
        self._frames = ready
        return frames

    def _none(self) -> Frames:
        return np.zeros((0, self._options.mels), np.float32)


def filterbank(samples: npt.NDArray[Any], options: FilterbankOptions) -> Frames:
    """Computes log-mel energies as `FilterbankStream` does.

    Args:
        samples: (N,), in [-1, 1).
        options: what is computed.

    Returns:
        (T, mels) float32, where T is `options.frames(N)`: 0 if the signal is shorter than a frame.
    """
    return FilterbankStream(options).accept(samples)


def _extractor(options: FilterbankOptions) -> Any:
    kaldi = kaldi_native_fbank()
    settings = kaldi.FbankOptions()
    settings.frame_opts.samp_freq = options.rate
    settings.frame_opts.frame_length_ms = options.frame_ms
    settings.frame_opts.frame_shift_ms = options.shift_ms
    settings.frame_opts.dither = 0.0
    settings.frame_opts.snip_edges = True
    settings.mel_opts.num_bins = options.mels
    settings.mel_opts.low_freq = options.low
    settings.mel_opts.high_freq = options.high
    return kaldi.OnlineFbank(settings)


def _has_empty_filter(options: FilterbankOptions) -> bool:
    """Whether a filter contains no frequency of the spectrum, which not every version of the library refuses."""
    size = 1 << (options.frame - 1).bit_length()
    frequencies = _mel(np.arange(size // 2) * options.rate / size)
    edges = np.linspace(_mel(options.low), _mel(options.upper), options.mels + 2)
    # A margin for the rounding of float32, in which the filters are computed.
    inside = np.searchsorted(frequencies, edges[2:] - _MARGIN) - np.searchsorted(frequencies, edges[:-2] + _MARGIN)
    return bool((inside < 1).any())


def _mel(frequency: Any) -> Any:
    return 1127 * np.log1p(np.asarray(frequency) / 700)
