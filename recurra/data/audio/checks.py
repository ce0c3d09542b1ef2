"""Checks of utterances before training: samples, features, and texts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.data.audio.problems import (
    CLIPPED,
    CONSTANT,
    DC_OFFSET,
    EMPTY_TEXT,
    NOT_FINITE,
    OTHER_WIDTH,
    SILENT,
    TEXT_TOO_LONG,
    TOO_SHORT,
    Problem,
    problem,
)
from recurra.data.audio.utterance import Utterance

# Below this deviation from the mean everywhere, 60 dB below full scale, there is no speech.
SILENCE = 1e-3
# A sample is clipped if it is beyond this level and equal to the one before it, or beyond 1. The largest 8-bit sample
# is 127/128; a full-scale tone passes its maximum without two equal samples.
FULL_SCALE = 0.992
# Share of clipped samples from which a recording is reported.
CLIPPED_SHARE = 1e-3
# Mean sample, relative to full scale, from which a DC offset is reported.
OFFSET = 0.02


class SampleCheck:
    """Checks the samples of an utterance, which arrive in blocks, and computes their digest.

    Args:
        utterance: the utterance.
        rate: samples per second.
    """

    def __init__(self, utterance: Utterance, rate: int) -> None:
        self._utterance = utterance
        self._digest = hashlib.blake2b(f"{rate} ".encode(), digest_size=16)
        self._count, self._sum, self._clipped = 0, 0.0, 0
        self._lowest, self._highest = np.inf, -np.inf
        self._last = np.zeros(1, np.float32)

    def accept(self, samples: npt.NDArray[np.float32]) -> None:
        """Checks the next samples, (N,)."""
        if not len(samples):
            return
        self._digest.update(np.ascontiguousarray(samples).data)
        self._count += len(samples)
        self._sum += float(samples.sum(dtype=np.float64))
        self._lowest = min(self._lowest, float(samples.min()))
        self._highest = max(self._highest, float(samples.max()))
        if max(-self._lowest, self._highest) >= FULL_SCALE:
            level = np.abs(samples)
            equal = samples == np.concatenate([self._last, samples[:-1]])
            self._clipped += int(np.count_nonzero((level > 1) | ((level >= FULL_SCALE) & equal)))
        self._last = samples[-1:]

    def digest(self) -> bytes:
        """Returns 16 bytes that are equal for equal samples and rates only."""
        return self._digest.digest()

    def problems(self) -> list[Problem]:
        """Returns the problems of all samples accepted so far: silence, or clipping and a DC offset."""
        mean = self._sum / max(1, self._count)
        deviation = max(self._highest - mean, mean - self._lowest)
        if deviation < SILENCE:
            return [problem(self._utterance, SILENT, f"silent: no sample is further than {SILENCE:g} from the mean")]
        problems = []
        if self._clipped >= CLIPPED_SHARE * self._count:
            share = f"{self._clipped / self._count:.1%}"
            problems.append(problem(self._utterance, CLIPPED, f"clipped: {share} of the samples are at full scale"))
        if abs(mean) > OFFSET:
            problems.append(problem(self._utterance, DC_OFFSET, f"a DC offset of {mean:.3f}, expected a mean near 0"))
        return problems


def check_features(utterance: Utterance, features: npt.NDArray[Any], width: int) -> list[Problem]:
    """Checks the features of an utterance.

    Args:
        utterance: the utterance.
        features: (T, F).
        width: the number of coefficients that every utterance has.
    """
    if not len(features):
        return [problem(utterance, TOO_SHORT, "shorter than a frame")]
    if features.shape[1] != width:
        return [problem(utterance, OTHER_WIDTH, f"{features.shape[1]} coefficients, expected {width}")]
    if not np.isfinite(features).all():
        frame = int(np.argwhere(~np.isfinite(features))[0, 0])
        return [problem(utterance, NOT_FINITE, f"frame {frame} is not finite in {features.dtype}")]
    if len(features) > 1 and (features == features[0]).all():
        return [problem(utterance, CONSTANT, f"all {len(features)} frames are equal")]
    return []


def check_text(utterance: Utterance) -> list[Problem]:
    """Checks that the text of an utterance, if it has one, is not empty."""
    if utterance.text is None or utterance.text.strip():
        return []
    return [problem(utterance, EMPTY_TEXT, "the text is empty")]


def check_length(
    utterance: Utterance,
    frames: int,
    symbols_of: Callable[[str], Sequence[Hashable]],
    frames_per_step: int = 1,
) -> list[Problem]:
    """Checks that CTC can align the text of an utterance with its frames.

    Each symbol needs an output step, and two equal symbols in a row a blank between them.

    Args:
        utterance: the utterance.
        frames: number of its frames.
        symbols_of: returns the symbols of a text.
        frames_per_step: number of frames per output step of the network; frames that do not fill a step do not count.
    """
    symbols = symbols_of(utterance.text or "")
    repeats = sum(first == second for first, second in pairwise(symbols))
    needed, available = len(symbols) + repeats, frames // frames_per_step
    if needed <= available:
        return []
    return [
        problem(
            utterance,
            TEXT_TOO_LONG,
            f"the text needs {needed} output steps for CTC ({len(symbols)} symbols, {repeats} of them repeated), but "
            f"{frames} frames have only {available}",
        )
    ]
