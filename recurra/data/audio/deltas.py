"""Deltas: how features change over time, of a whole utterance or as it arrives."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.errors import InputError

Frames = npt.NDArray[np.float32]


class DeltaStream:
    """Appends deltas and double deltas to frames that arrive in pieces; a frame is returned 2 · window frames later.

    The delta of a frame is the slope of the line fitted to it and its neighbours,

        d_t = Σₙ n (c_{t+n} - c_{t-n}) / (2 Σₙ n²),  n = 1 … window,

    and its double delta the same of the deltas; before the first and after the last frame these are repeated, as in
    Kaldi's add-deltas. All frames returned, concatenated, are equal to `deltas` of the whole to the bit.

    Args:
        window: number of neighbours on each side.
    """

    def __init__(self, window: int = 2) -> None:
        if window < 1:
            raise InputError(f"window={window}, expected 1 or more")
        self._window = window
        # The frames that later ones need, (at most 4 · window, F).
        self._kept = np.zeros((0, 0), np.float32)

    def accept(self, features: npt.NDArray[Any]) -> Frames:
        """Returns the frames that are complete after the next ones.

        Args:
            features: (T, F).

        Returns:
            (t, 3 F): the features, their deltas, their double deltas.
        """
        features = np.asarray(features, dtype=np.float32)
        if not len(self._kept):
            self._kept = np.repeat(features[:1], 2 * self._window, axis=0)  # (0, F) if there are no frames yet
        return self._complete(np.concatenate([self._kept, features]))

    def finish(self) -> Frames:
        """Returns the last frames; (0, 0) if `accept` was not called."""
        return self._complete(np.concatenate([self._kept, np.repeat(self._kept[-1:], 2 * self._window, axis=0)]))

    def _complete(self, frames: Frames) -> Frames:
        """Returns all frames that have 2 · window neighbours on each side in (N, F), and keeps what others need."""
        reach = 2 * self._window
        self._kept = frames[-2 * reach :].copy()
        if len(frames) <= 2 * reach:
            return np.zeros((0, 3 * frames.shape[1]), np.float32)
        first = _slopes(frames, self._window)  # (N - reach, F)
        second = _slopes(first, self._window)  # (N - 2 reach, F)
        inner = slice(self._window, -self._window)
        return np.concatenate([frames[reach:-reach], first[inner], second], axis=1)


def deltas(features: npt.NDArray[Any], window: int = 2) -> Frames:
    """Appends deltas and double deltas to features, as `DeltaStream` does.

    Args:
        features: (T, F).
        window: number of neighbours on each side.

    Returns:
        (T, 3 F) float32.
    """
    stream = DeltaStream(window)
    begin = stream.accept(features)
    return np.concatenate([begin, stream.finish()]) if len(features) else begin


def _slopes(frames: Frames, window: int) -> Frames:
    """The slopes at all frames with `window` neighbours on each side, (N - 2 window, F)."""
    count = len(frames) - 2 * window
    total = np.zeros((count, frames.shape[1]), np.float32)
    for n in range(1, window + 1):
        total += np.float32(n) * (frames[window + n :][:count] - frames[window - n :][:count])
    total /= np.float32(2 * sum(n * n for n in range(1, window + 1)))
    return total
