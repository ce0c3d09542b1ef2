"""Greedy decoding of CTC: the most probable symbol of each frame, repetitions merged, blanks dropped.

Graves et al. 2006, "Connectionist temporal classification", section 3.2 ("best path decoding").
"""

from __future__ import annotations

import numpy as np

from recurra.decoding.ctc.log_probs import BLANK, LogProbs, checked
from recurra.decoding.ctc.path import CTCPath, CTCSymbol
from recurra.errors import InputError


def ctc_greedy(log_probs: LogProbs) -> CTCPath:
    """Returns the symbols of the most probable path of one utterance.

    Of equally probable symbols the lowest id counts, so that a frame that is undecided between a symbol and the blank
    is a blank.

    Args:
        log_probs: (T, V) natural logarithms, symbol 0 is the blank.

    Returns:
        The symbols with their frames and confidences.

    Raises:
        InputError: the shape is not (T, V).
        RecurraError: a frame is not a distribution.
    """
    stream = GreedyStream()
    return CTCPath.of([*stream.accept(log_probs), *stream.finish()])


class GreedyStream:
    """Greedy decoding of an utterance that arrives in chunks; any chunks result in the symbols of the whole."""

    def __init__(self) -> None:
        self.frames = 0
        """The number of frames so far."""
        self._size: int | None = None
        # The run of equal symbols that the next frame may continue: its id, first frame and largest log-probability.
        self._id, self._start, self._peak = BLANK, 0, 0.0

    @property
    def pending(self) -> int | None:
        """The symbol of the last frame, which `accept` returns once its run has ended; None if it is the blank."""
        return None if self._id == BLANK else self._id

    def accept(self, log_probs: LogProbs) -> list[CTCSymbol]:
        """Reads the next frames and returns the symbols whose runs have ended.

        Args:
            log_probs: (T, V), T may be 0.

        Raises:
            InputError: the shape is not (T, V), or V differs from that of the frames before.
            RecurraError: a frame is not a distribution.
        """
        frames = checked(log_probs, first=self.frames)
        if self._size not in (None, frames.shape[1]):
            raise InputError(f"log_probs has {frames.shape[1]} symbols, but the frames before had {self._size}")
        self._size = frames.shape[1]
        if not len(frames):
            return []
        best = frames.argmax(axis=1)  # (T,)
        starts = np.concatenate([[0], np.flatnonzero(best[1:] != best[:-1]) + 1])
        peaks = np.maximum.reduceat(frames.max(axis=1), starts)
        runs = zip(best[starts].tolist(), (starts + self.frames).tolist(), peaks.tolist(), strict=True)
        self.frames += len(frames)
        symbols = []
        for symbol, start, peak in runs:
            if symbol == self._id and start > self._start:
                self._peak = max(self._peak, peak)
                continue
            symbols += self._end(start)
            self._id, self._start, self._peak = symbol, start, peak
        return symbols

    def finish(self) -> list[CTCSymbol]:
        """Ends the utterance and returns its last symbol, if the last frame is not a blank."""
        symbols = self._end(self.frames)
        self._id, self._start = BLANK, self.frames
        return symbols

    def _end(self, frame: int) -> list[CTCSymbol]:
        if self._id == BLANK:
            return []
        return [CTCSymbol(self._id, self._start, frame, min(1.0, float(np.exp(self._peak))))]
