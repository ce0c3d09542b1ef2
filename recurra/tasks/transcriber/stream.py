"""Speech that arrives in chunks: from samples to words, in constant memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.errors import InputError
from recurra.tasks.transcriber.decoders import Decoder
from recurra.tasks.transcriber.network_stream import Frames, LogProbs, NetworkStream
from recurra.tasks.transcriber.transcript import Partial, Transcript, Word

# Samples that are read in one step: a long array is read in parts, so that its features are never all in memory.
_BLOCK_SECONDS = 10


class TranscriptStream:
    """Recognises one recording that arrives in chunks of any size; any chunks result in the words of the whole.

    Args:
        features: computes features of samples; None for a stream of features.
        rate: samples per second, or frames per second for features.
        network: the network over features.
        decoder: from log-probabilities to words.
        step_seconds: time from one step of the network to the next.
    """

    def __init__(
        self, features: Any, rate: float, network: NetworkStream, decoder: Decoder, *, step_seconds: float
    ) -> None:
        self._features, self._rate, self._network, self._decoder = features, rate, network, decoder
        self._step_seconds, self._count, self._finished = step_seconds, 0, False

    @property
    def seconds(self) -> float:
        """Duration of the sound so far."""
        return self._count / self._rate

    def accept(self, samples: npt.ArrayLike) -> Partial:
        """Reads the next samples and returns what is recognised with them.

        Args:
            samples: (N,) floating-point numbers from -1 to 1, or integers of 16 bits; several channels (N, C) are
                mixed down. For a model of features: frames (T, F).

        Raises:
            InputError: samples of another type or shape, NaN, or a stream that has ended.
        """
        if self._finished:
            raise InputError("this stream has ended: start another one with stream()")
        if self._features is None:
            frames = np.asarray(samples, dtype=np.float32)
            self._count += len(frames)
            words = self._read(self._network.accept(frames))
        else:
            values = as_samples(samples)
            self._count += len(values)
            size = round(_BLOCK_SECONDS * self._rate)
            words = []
            for start in range(0, len(values), size):
                frames = self._features.accept(values[start : start + size])
                words += self._read(self._network.accept(frames))
        return Partial(words, self._decoder.pending())

    def finish(self) -> list[Word]:
        """Ends the recording and returns its last words."""
        if self._finished:
            return []
        self._finished = True
        words = []
        if self._features is not None:
            words += self._read(self._network.accept(self._features.finish()))
        words += self._read(self._network.finish())
        return words + self._words(self._decoder.finish())

    def transcribe(self, samples: npt.ArrayLike) -> Transcript:
        """Returns the transcript of samples that are the whole recording."""
        words = self.accept(samples).words
        return Transcript(words + self.finish(), self.seconds)

    def _read(self, log_probs: LogProbs) -> list[Word]:
        return self._words(self._decoder.accept(log_probs)) if len(log_probs) else []

    def _words(self, words: Any) -> list[Word]:
        return [Word.of(word, self._step_seconds) for word in words]


def as_samples(samples: npt.ArrayLike) -> Frames:
    """Returns samples as float32 from -1 to 1, mixed down to one channel.

    Raises:
        InputError: another type or shape, or NaN.
    """
    values = np.asarray(samples)
    if values.dtype == np.int16:
        values = values / np.float32(32768)
    if values.dtype.kind != "f":
        raise InputError(f"samples are {values.dtype}: expected floating-point numbers from -1 to 1, or int16")
    if values.ndim == 2:
        values = values.mean(1)
    if values.ndim != 1:
        raise InputError(f"samples are {values.shape}: expected (samples,), or (samples, channels)")
    if not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(f"sample {place} is {values[place]}: expected finite numbers")
    return values.astype(np.float32)
