"""Forced alignment of CTC: the frames of known symbols, and of the words that they spell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.decoding.ctc.log_probs import BLANK, Frames, LogProbs, checked
from recurra.decoding.ctc.path import CTCPath, Ids
from recurra.errors import InputError


class TimedWord(NamedTuple):
    """A word with its frames; multiply these by the seconds per frame."""

    text: str
    start: int
    """The first frame of its first symbol."""
    end: int
    """The frame after the last one of its last symbol."""
    confidence: float
    """The smallest confidence of its symbols, from 0 to 1: a word is as certain as its least certain symbol."""


def ctc_align(log_probs: LogProbs, ids: Sequence[int] | Ids) -> CTCPath:
    """Returns the frames of known symbols on their most probable path (Viterbi).

    The path is the most probable one of those that become `ids` when repetitions are merged and blanks are dropped
    (Graves et al. 2006, with the maximum in place of the sum of equation 6). It has T steps over 2 S + 1 states, the
    symbols and the blanks around them, and takes T (2 S + 1) bytes.

    Args:
        log_probs: (T, V) natural logarithms, symbol 0 is the blank.
        ids: (S,) symbols from 1 to V - 1.

    Raises:
        InputError: a symbol is not in 1 … V - 1, the frames are too few for the symbols, or every path has
            probability 0.
        RecurraError: a frame is not a distribution.
    """
    frames, symbols = checked(log_probs), np.asarray(ids, dtype=np.int64)
    _check(frames, symbols)
    if not len(frames):
        return CTCPath.of(())
    states = _best_states(frames, symbols)  # (T,)
    # The states 1, 3, 5, … are the symbols.
    numbers = 2 * np.arange(len(symbols)) + 1
    starts, ends = np.searchsorted(states, numbers), np.searchsorted(states, numbers, side="right")
    own = np.where(states % 2 == 1, states // 2, 0)
    values = frames[np.arange(len(frames)), symbols[own]] if len(symbols) else np.zeros(len(frames))
    peaks = [values[start:end].max() for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    return CTCPath(symbols, starts, ends, np.minimum(np.exp(np.array(peaks, dtype=np.float64)), 1.0))


def _check(frames: Frames, symbols: Ids) -> None:
    if symbols.ndim != 1 or ((symbols <= BLANK) | (symbols >= frames.shape[1])).any():
        raise InputError(
            f"ids are {symbols.tolist()}: expected symbols from 1 to {frames.shape[1] - 1}, without the blank 0"
        )
    # Between two equal symbols there is a blank.
    repeats = int((symbols[1:] == symbols[:-1]).sum())
    if len(frames) < len(symbols) + repeats:
        raise InputError(
            f"{len(frames)} frames are too few for {len(symbols)} symbols of which {repeats} repeat the one before: "
            f"CTC needs {len(symbols) + repeats}"
        )


def _best_states(frames: Frames, symbols: Ids) -> Ids:
    """Returns the state of each frame on the best path: 2 s + 1 for symbol s, even numbers for the blanks."""
    states = np.full(2 * len(symbols) + 1, BLANK)
    states[1::2] = symbols
    # A blank may be left out between two different symbols.
    skips = np.full(len(states), -np.inf)
    skips[3::2] = np.where(symbols[1:] == symbols[:-1], -np.inf, 0.0)
    back = np.zeros((len(frames), len(states)), dtype=np.int8)
    # Two entries in front, so that the first states have predecessors too.
    scores = np.full(len(states) + 2, -np.inf)
    scores[2:4] = frames[0, states[:2]]
    for t in range(1, len(frames)):
        stay, next_state, skip = scores[2:], scores[1:-1], scores[:-2] + skips
        best = np.maximum(stay, next_state)
        back[t] = np.where(skip > best, 2, next_state > stay)
        scores[2:] = np.maximum(best, skip) + frames[t].take(states)
    return _trace(scores[2:], back)


def _trace(scores: Frames, back: npt.NDArray[Any]) -> Ids:
    state = len(scores) - 1
    if state and scores[state - 1] > scores[state]:
        state -= 1
    if scores[state] == -np.inf:
        raise InputError("the symbols have probability 0: every path to them has a frame whose probability is 0")
    path = np.empty(len(back), dtype=np.int64)
    for t in range(len(back) - 1, -1, -1):
        path[t] = state
        state -= int(back[t, state])
    return path


def words_of(path: CTCPath, pieces: Sequence[str]) -> list[TimedWord]:
    """Returns the words that symbols spell, with their frames.

    Args:
        path: from `ctc_greedy` or `ctc_align`.
        pieces: the text of each symbol by its id. Whitespace separates words, whether it is a symbol or a part of one,
            such as the space of " the"; both words of "s t" have its frames.

    Returns:
        The words in order, none of them empty.
    """
    words, current = list[TimedWord](), None
    for symbol, *place in zip(*(field.tolist() for field in path), strict=True):
        for character in pieces[symbol]:
            if character.isspace():
                words += [current] if current else []
                current = None
            else:
                current = _extended(current, character, *place)
    return [*words, current] if current else words


def _extended(word: TimedWord | None, character: str, start: int, end: int, confidence: float) -> TimedWord:
    if word is None:
        return TimedWord(character, start, end, confidence)
    return TimedWord(word.text + character, word.start, end, min(word.confidence, confidence))
