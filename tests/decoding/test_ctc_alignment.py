"""Forced alignment: the best of all paths, the words that symbols spell, and confidences that fall with noise."""

import itertools
import math

import numpy as np
import pytest
import torch

from recurra.decoding.ctc import CTCPath, TimedWord, ctc_align, ctc_greedy, words_of
from recurra.errors import InputError, RecurraError


def log_probs(seed, frames, size, sharp=1.5):
    draw = torch.Generator().manual_seed(seed)
    return (sharp * torch.randn(frames, size, generator=draw, dtype=torch.float64)).log_softmax(-1).numpy()


def collapsed(path):
    return [symbol for symbol, _ in itertools.groupby(path) if symbol]


def log_probability(values, path):
    return sum(values[frame, symbol] for frame, symbol in enumerate(path))


def frame_by_frame(path, frames):
    symbols = [0] * frames
    for symbol, start, end in zip(path.ids, path.starts, path.ends, strict=True):
        assert symbols[start:end] == [0] * (end - start)
        symbols[start:end] = [int(symbol)] * (end - start)
    return symbols


@pytest.mark.parametrize("seed", range(12))
def test_the_path_is_the_best_of_all_that_spell_the_symbols(seed):
    frames, size = 6, 3
    values = log_probs(seed, frames, size)
    paths = {path: log_probability(values, path) for path in itertools.product(range(size), repeat=frames)}
    for ids in [[], [1], [2, 2], [1, 2], [1, 1, 1], [2, 1, 2], [1, 2, 1, 2, 1, 2], [1, 1, 2, 2]]:
        best = max(score for path, score in paths.items() if collapsed(path) == ids)
        aligned = ctc_align(values, ids)
        path = frame_by_frame(aligned, frames)
        assert collapsed(path) == ids
        assert log_probability(values, path) == pytest.approx(best)
        peaks = [
            values[start:end, symbol].max()
            for symbol, start, end in zip(ids, aligned.starts, aligned.ends, strict=True)
        ]
        assert aligned.confidences == pytest.approx(np.exp(peaks))


def test_the_alignment_of_the_greedy_symbols_of_a_clear_utterance_is_the_greedy_path():
    values = log_probs(0, 200, 10, sharp=30.0)
    greedy = ctc_greedy(values)
    for field, expected in zip(ctc_align(values, greedy.ids), greedy, strict=True):
        np.testing.assert_allclose(field, expected)


def test_few_frames_and_no_frames():
    values = log_probs(0, 3, 3)
    with pytest.raises(InputError, match="3 frames are too few for 3 symbols of which 1 repeat.*CTC needs 4"):
        ctc_align(values, [1, 1, 2])
    assert ctc_align(values, [1, 2, 1]).starts.tolist() == [0, 1, 2]
    assert ctc_align(values[:0], []).ids.tolist() == []
    with pytest.raises(InputError, match="0 frames are too few"):
        ctc_align(values[:0], [1])


def test_symbols_without_probability_and_unknown_ones_are_refused():
    values = log_probs(0, 3, 3)
    with pytest.raises(InputError, match=r"ids are \[1, 3\]: expected symbols from 1 to 2, without the blank"):
        ctc_align(values, [1, 3])
    with pytest.raises(InputError, match=r"ids are \[0\]"):
        ctc_align(values, [0])
    values[:, 2] = -np.inf
    with pytest.raises(InputError, match="the symbols have probability 0"):
        ctc_align(values, [2])
    values[1] = np.nan
    with pytest.raises(RecurraError, match="frame 1 of the log-probabilities: NaN"):
        ctc_align(values, [1])


PIECES = ["", "a", "b", " ", " the", "s t"]


def path_of(*symbols):
    ids, starts, ends, confidences = (np.array(field) for field in zip(*symbols, strict=True))
    return CTCPath(ids, starts, ends, confidences)


def test_words_begin_and_end_with_their_symbols_and_are_as_certain_as_the_least_certain():
    path = path_of((1, 2, 4, 0.9), (2, 5, 6, 0.7), (3, 8, 9, 0.1), (1, 10, 11, 1.0))
    assert words_of(path, PIECES) == [TimedWord("ab", 2, 6, 0.7), TimedWord("a", 10, 11, 1.0)]


def test_spaces_inside_symbols_separate_words():
    path = path_of((4, 0, 1, 0.5), (4, 1, 3, 0.6), (5, 4, 6, 0.3), (3, 7, 8, 0.9), (3, 9, 10, 0.9))
    assert words_of(path, PIECES) == [
        TimedWord("the", 0, 1, 0.5),
        TimedWord("thes", 1, 6, 0.3),
        TimedWord("t", 4, 6, 0.3),
    ]
    assert words_of(ctc_align(log_probs(0, 3, 3), []), PIECES) == []


def test_confidence_falls_with_noise():
    """One word of clear symbols, whose logits are mixed with more and more of another word's."""
    clear = np.full((9, 4), -4.0)
    clear[[0, 2, 3, 5, 6, 8], 0], clear[[1, 7], 1], clear[4, 2] = 4.0, 4.0, 4.0
    other = np.roll(clear, 1, axis=1)
    confidences = []
    for share in np.linspace(0, 0.45, 10):
        values = torch.from_numpy((1 - share) * clear + share * other).log_softmax(-1)
        [word] = words_of(ctc_align(values, [1, 2, 1]), ["", "x", "y", "z"])
        confidences.append(word.confidence)
    assert word.text == "xyx"
    assert confidences[0] > 0.99
    assert all(later < earlier for earlier, later in itertools.pairwise(confidences))
    assert math.isclose(confidences[0], 1, abs_tol=0.01)
