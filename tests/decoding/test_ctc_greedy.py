"""Greedy decoding of CTC: equals a loop over frames, and any chunks equal the whole."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.decoding.ctc import CTCPath, GreedyStream, ctc_greedy
from recurra.errors import InputError, RecurraError


def log_probs(seed, frames, size, sharp=3.0):
    draw = torch.Generator().manual_seed(seed)
    return (sharp * torch.randn(frames, size, generator=draw)).log_softmax(-1)


def by_frame(values):
    """The symbols of the best path, one frame at a time."""
    path = [max(range(len(frame)), key=lambda symbol: frame[symbol]) for frame in values.tolist()]
    symbols, frame = [], 0
    for symbol, run in itertools.groupby(path):
        length = len(list(run))
        if symbol:
            peak = max(values[frame : frame + length, symbol].tolist())
            symbols.append((symbol, frame, frame + length, math.exp(peak)))
        frame += length
    return symbols


@given(st.integers(0, 10**6), st.integers(0, 40), st.integers(2, 6))
@settings(max_examples=50)
def test_the_path_equals_a_loop_over_frames(seed, frames, size):
    values = log_probs(seed, frames, size)
    path = ctc_greedy(values)
    expected = by_frame(values)
    assert list(zip(path.ids, path.starts, path.ends, strict=True)) == [symbol[:3] for symbol in expected]
    assert path.confidences == pytest.approx(np.array([symbol[3] for symbol in expected]))


@given(st.integers(0, 10**6), st.lists(st.integers(0, 7), max_size=12))
@settings(max_examples=50)
def test_any_chunks_equal_the_whole(seed, sizes):
    values = log_probs(seed, sum(sizes), 3, sharp=6.0).numpy()
    stream, symbols = GreedyStream(), []
    for chunk in np.split(values, np.cumsum(sizes)):
        symbols += stream.accept(chunk)
    path = CTCPath.of([*symbols, *stream.finish()])
    for field, expected in zip(path, ctc_greedy(values), strict=True):
        np.testing.assert_array_equal(field, expected)


def test_a_symbol_is_pending_until_its_run_ends():
    a, blank = np.log([[0.1, 0.9]]), np.log([[0.6, 0.4]])
    stream = GreedyStream()
    assert stream.accept(a) == []
    assert stream.pending == 1
    assert stream.accept(a) == []
    assert stream.accept(blank) == [(1, 0, 2, pytest.approx(0.9))]
    assert stream.pending is None
    assert stream.accept(a) == []
    assert stream.finish() == [(1, 3, 4, pytest.approx(0.9))]
    assert stream.finish() == []


def test_minus_infinity_is_valid_and_ties_are_blank():
    path = ctc_greedy(np.array([[-np.inf, 0.0], [0.0, -np.inf], [math.log(0.5), math.log(0.5)]]))
    assert path.ids.tolist() == [1]
    assert path.confidences.tolist() == [1.0]


@pytest.mark.parametrize(("value", "problem"), [(np.nan, "NaN"), (np.inf, r"\+inf"), (-np.inf, "−inf for every")])
def test_a_frame_that_is_no_distribution_is_named(value, problem):
    stream, values = GreedyStream(), log_probs(0, 5, 3).numpy()
    stream.accept(values)
    values[2] = value
    with pytest.raises(RecurraError, match=f"frame 7 of the log-probabilities: {problem}"):
        stream.accept(values)


def test_wrong_shapes_are_refused():
    with pytest.raises(InputError, match=r"log_probs is \(2, 3, 4\): expected \(T, V\)"):
        ctc_greedy(torch.zeros(2, 3, 4))
    with pytest.raises(InputError, match="V ≥ 2"):
        ctc_greedy(torch.zeros(2, 1))
    stream = GreedyStream()
    stream.accept(torch.zeros(2, 3))
    with pytest.raises(InputError, match="log_probs has 4 symbols, but the frames before had 3"):
        stream.accept(torch.zeros(2, 4))
