"""Resampling of a signal that arrives in pieces."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.data.audio.libraries import soxr
from recurra.errors import InputError

Samples = npt.NDArray[np.float32]
# Rates outside are errors in headers; a rate of a few Hz would make one second of audio fill the memory.
LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000


class Resampler:
    """Resamples pieces of a signal with soxr's quality HQ (linear phase, 20 bits).

    All pieces returned, concatenated, are equal to the bit however the signal is divided; N samples become
    N · out_rate / in_rate samples, rounded. The filter and its blocks hold back up to a quarter of a second. Equal
    rates return the samples as they are.

    Args:
        in_rate: samples per second of the input.
        out_rate: samples per second of the output.

    Raises:
        InputError: a rate is not between 1,000 and 1,000,000 Hz.
    """

    def __init__(self, in_rate: int, out_rate: int) -> None:
        check_rate(in_rate, "in_rate")
        check_rate(out_rate, "out_rate")
        self._stream: Any = None
        if in_rate != out_rate:
            self._stream = soxr().ResampleStream(in_rate, out_rate, 1, dtype="float32", quality="HQ")

    def accept(self, samples: npt.NDArray[Any]) -> Samples:
        """Returns the output that is complete after the next samples, (N,)."""
        return self._process(np.ascontiguousarray(samples, dtype=np.float32), last=False)

    def finish(self) -> Samples:
        """Returns the rest of the output; no samples follow."""
        return self._process(np.zeros(0, np.float32), last=True)

    def _process(self, samples: Samples, *, last: bool) -> Samples:
        if self._stream is None:
            return samples
        resampled: Samples = self._stream.resample_chunk(samples, last=last)
        return resampled


def check_rate(rate: int, name: str) -> None:
    """Checks a sampling rate.

    Raises:
        InputError: it is not between 1,000 and 1,000,000 Hz.
    """
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise InputError(f"{name}={rate} Hz, expected a sampling rate of {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz")
