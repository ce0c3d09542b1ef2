"""Prefix beam search: equals the sum over all alignments, and any chunks equal the whole."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.decoding.ctc import CTCBeam, CTCBeamOptions, ctc_beam_search
from recurra.errors import InputError, RecurraError

EXACT = {"beam": 10**4, "token_threshold": math.inf, "beam_threshold": math.inf, "max_pending": None}


def log_probs(seed, frames, size, sharp=1.5):
    draw = torch.Generator().manual_seed(seed)
    return (sharp * torch.randn(frames, size, generator=draw, dtype=torch.float64)).log_softmax(-1).numpy()


def every_output(values):
    """The log-probability of every output, summed over all V^T paths."""
    sums = {}
    for path in itertools.product(range(values.shape[1]), repeat=len(values)):
        output = tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)
        score = sum(values[frame, symbol] for frame, symbol in enumerate(path))
        sums[output] = np.logaddexp(sums.get(output, -np.inf), score)
    return {output: score for output, score in sums.items() if score > -np.inf}


@pytest.mark.parametrize(("frames", "size"), [(0, 3), (1, 3), (4, 2), (5, 3), (6, 3), (4, 5)])
@pytest.mark.parametrize("seed", range(3))
def test_a_beam_of_every_prefix_sums_over_every_alignment(seed, frames, size):
    values = log_probs(seed, frames, size)
    expected = every_output(values)
    hypotheses = ctc_beam_search(values, CTCBeamOptions(**EXACT))
    assert {tuple(one.ids): one.log_probability for one in hypotheses} == pytest.approx(expected)
    assert tuple(hypotheses[0].ids) == max(expected, key=expected.get)
    assert [one.score for one in hypotheses] == sorted((one.score for one in hypotheses), reverse=True)
    assert all(one.score == one.log_probability and one.lm_log_probability == 0 for one in hypotheses)


def test_impossible_symbols_have_no_hypotheses():
    values = log_probs(0, 5, 3)
    values[[0, 2], 1], values[3, 0], values[4, 0] = -np.inf, -np.inf, -np.inf
    expected = every_output(values)
    hypotheses = ctc_beam_search(values, CTCBeamOptions(**EXACT))
    assert {tuple(one.ids): one.log_probability for one in hypotheses} == pytest.approx(expected)


def by_ctc_loss(values, ids):
    length = torch.tensor([len(ids)])
    loss = torch.nn.functional.ctc_loss(
        torch.from_numpy(values)[:, None], torch.tensor([ids]), torch.tensor([len(values)]), length, reduction="sum"
    )
    return -float(loss)


@pytest.mark.parametrize("seed", range(3))
def test_log_probabilities_are_those_of_the_ctc_loss(seed):
    values = log_probs(seed, 8, 3)
    for one in ctc_beam_search(values, CTCBeamOptions(**EXACT)):
        assert one.log_probability == pytest.approx(by_ctc_loss(values, one.ids))
    # A beam of 16 misses alignments through prefixes that it dropped, here few of them. It never counts one twice.
    logits = 3 * np.random.default_rng(seed).normal(size=(200, 8))
    logits[::2, 0] += 15
    values = torch.from_numpy(logits).log_softmax(-1).numpy()
    for one in ctc_beam_search(values, CTCBeamOptions(max_pending=None)):
        loss = by_ctc_loss(values, one.ids)
        assert loss - 0.5 < one.log_probability < loss + 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_a_prefix_that_returns_to_the_beam_is_the_same_prefix(seed):
    """No two hypotheses are equal and none counts an alignment twice, though prefixes leave the beam and return."""
    values, beam = log_probs(seed, 60, 3), CTCBeam(CTCBeamOptions(max_pending=None))
    for frame in values:
        beam.accept(frame[None])
        hypotheses = beam.finish()
        assert len({tuple(one.ids) for one in hypotheses}) == len(hypotheses)
    for one in hypotheses:
        assert one.log_probability < by_ctc_loss(values, one.ids) + 1e-9


def in_chunks(beam, chunks):
    """The symbols taken between chunks, and the hypotheses without them."""
    taken = []
    for chunk in chunks:
        beam.accept(chunk)
        taken += beam.take_settled()
    return taken, beam.finish()


@given(st.integers(0, 10**6), st.lists(st.integers(0, 25), max_size=10), st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_chunks_equal_the_whole(seed, sizes, bonus):
    values = log_probs(seed, sum(sizes), 5, sharp=3.0)
    options = CTCBeamOptions(beam=6, max_pending=4, length_bonus=0.5 * bonus)
    whole = ctc_beam_search(values, options)
    taken, hypotheses = in_chunks(CTCBeam(options), np.split(values, np.cumsum(sizes)))
    assert [(taken + one.ids, *one[1:]) for one in hypotheses] == [tuple(one) for one in whole]


def test_what_has_settled_is_in_every_later_hypothesis():
    beam, values = CTCBeam(CTCBeamOptions(beam=8, max_pending=None)), log_probs(0, 300, 6, sharp=5.0)
    settled, lengths = [], []
    for frame in values:
        beam.accept(frame[None])
        assert beam.settled()[: len(settled)] == settled
        settled = beam.settled()
        hypotheses = beam.finish()
        assert all(one.ids[: len(settled)] == settled for one in hypotheses)
        assert hypotheses[0] == beam.best()
        # No longer beginning is shared by all.
        assert len({tuple(one.ids[: len(settled) + 1]) for one in hypotheses}) > 1 or len(hypotheses) == 1
        lengths.append(len(hypotheses[0].ids) - len(settled))
    assert len(settled) > 50


def ambiguous(repeats, tie=0.01):
    """A frame in which two symbols are almost equally probable, then many clear ones."""
    clear = np.full((2, 4), math.log(0.001))
    clear[0, 3] = clear[1, 0] = math.log(0.997)
    first = np.log([[0.02, 0.49, 0.49 - tie, tie]])
    return np.concatenate([first, clear[1:], *[clear] * repeats])


def test_two_readings_that_are_nearly_as_probable_are_both_followed_up_to_max_pending():
    values = ambiguous(200)
    beam = CTCBeam(CTCBeamOptions(max_pending=None))
    beam.accept(values)
    assert beam.settled() == []
    # The limit is applied at some frames only, which are the same for all chunks.
    options = CTCBeamOptions(max_pending=5)
    beam, whole = CTCBeam(options), ctc_beam_search(values, options)
    for chunk in np.array_split(values, 17):
        beam.accept(chunk)
        beam.settled()
    assert beam.finish() == whole
    assert 200 > len(beam.settled()) > 130
    assert beam.settled()[0] == 1
    assert all(one.ids[0] == 1 for one in whole)
    assert beam.best().log_probability == pytest.approx(math.log(0.49) + 401 * math.log(0.997), abs=1e-2)


def test_memory_of_an_endless_stream_is_constant():
    beam, sizes, symbols = CTCBeam(CTCBeamOptions(beam=16)), [], 0
    for part in range(40):
        beam.accept(log_probs(part, 250, 6, sharp=3.0))
        symbols += len(beam.take_settled())
        sizes.append(len(beam._live.tree))
        assert len(beam.best().ids) < 50 + 64 + 16
    assert symbols > 2000
    assert max(sizes) < 3000
    assert max(len(array) for array in (beam._live.tree._parents, beam._live.tree._children)) < 5000


def test_thresholds_drop_what_is_improbable():
    values = np.log([[0.6, 0.3, 0.1], [0.6, 0.1, 0.3]])
    ids = [one.ids for one in ctc_beam_search(values, CTCBeamOptions(token_threshold=1.0))]
    assert sorted(ids) == [[], [1], [1, 2], [2]]
    scores = [one.score for one in ctc_beam_search(values, CTCBeamOptions(**{**EXACT, "beam_threshold": 1.0}))]
    assert min(scores) >= max(scores) - 1.0
    assert len(ctc_beam_search(values, CTCBeamOptions(beam=2))) == 2


def test_frames_in_which_only_the_blank_is_probable_extend_nothing_but_keep_the_sum():
    values = np.full((6, 3), math.log(0.0001))
    values[:, 0] = math.log(0.9998)
    values[2] = np.log([0.1, 0.8, 0.1])
    hypotheses = ctc_beam_search(values, CTCBeamOptions())
    assert sorted(one.ids for one in hypotheses) == [[], [1], [2]]
    exact = every_output(values)
    for one in hypotheses:
        assert one.log_probability == pytest.approx(exact[tuple(one.ids)], abs=1e-2)


def test_the_length_bonus_counts_symbols():
    values = log_probs(3, 5, 3)
    expected = {output: score + 0.7 * len(output) for output, score in every_output(values).items()}
    hypotheses = ctc_beam_search(values, CTCBeamOptions(**EXACT, length_bonus=0.7))
    assert {tuple(one.ids): one.score for one in hypotheses} == pytest.approx(expected)


def test_without_frames_the_output_is_empty():
    assert CTCBeam().finish() == [([], 0.0, 0.0, 0.0)]
    assert CTCBeam().best() == ([], 0.0, 0.0, 0.0)
    assert CTCBeam().take_settled() == []
    assert ctc_beam_search(np.zeros((0, 3))) == [([], 0.0, 0.0, 0.0)]


def test_float32_tensors_and_arrays_are_read_alike():
    values = torch.from_numpy(log_probs(0, 20, 4)).float()
    assert ctc_beam_search(values) == ctc_beam_search(values.numpy())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": 0}, "beam=0: expected 1"),
        ({"lm_weight": -1.0}, "lm_weight=-1.0: expected 0 or more"),
        ({"length_bonus": math.inf}, "length_bonus=inf: expected a finite number"),
        ({"hot_word_weight": math.nan}, "hot_word_weight=nan: expected a finite"),
        ({"token_threshold": 0.0}, "token_threshold=0.0: expected more than 0 nats, or inf"),
        ({"beam_threshold": math.nan}, "beam_threshold=nan: expected more than 0"),
        ({"max_pending": 0}, "max_pending=0: expected 1 symbol or more, or None"),
        ({"hot_words": ("a", " ")}, "hot_words=.*: contains an empty word"),
    ],
)
def test_invalid_options(options, message):
    with pytest.raises(InputError, match=message):
        CTCBeamOptions(**options)


def test_invalid_frames_are_refused():
    beam, values = CTCBeam(), log_probs(0, 5, 3)
    beam.accept(values)
    with pytest.raises(InputError, match="log_probs has 4 symbols, but the frames before had 3"):
        beam.accept(np.zeros((1, 4)))
    values[1, 1] = np.nan
    with pytest.raises(RecurraError, match="frame 6 of the log-probabilities: NaN"):
        beam.accept(values)
    with pytest.raises(InputError, match="log_probs has 3 symbols, but there are pieces of 2"):
        CTCBeam(pieces=["", "a"]).accept(log_probs(0, 5, 3))


@pytest.mark.parametrize("options", [{}, {"length_bonus": 0.7}, {"hot_words": ("ab",)}])
def test_the_best_output_so_far_is_that_of_the_frames_so_far(options):
    frames = log_probs(3, 12, 4)
    beam = CTCBeam(CTCBeamOptions(beam=8, **options), pieces=["", "a", "b", "c"])
    assert beam.best().ids == []
    for frame in range(len(frames)):
        beam.accept(frames[frame : frame + 1])
        best = beam.best()
        assert best.lm_log_probability == 0
        assert (best.ids, best.log_probability) in [(one.ids, one.log_probability) for one in beam.finish()]
