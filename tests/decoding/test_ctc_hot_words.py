"""Hot words: complete words add to the score, and what their beginnings added is taken back."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.decoding.ctc import CTCBeam, CTCBeamOptions, ctc_beam_search
from recurra.decoding.ctc.hot_words import HotWords
from recurra.errors import InputError

PIECES = ["", "a", "b", " ", " ab", "a b", "ba"]
WORDS = ["a", "ab", "ab a", "bab", "b ab b", "aa"]


def symbol_by_symbol(words, ids, pieces=PIECES):
    """The additions after each symbol, and after the end."""
    hot = HotWords(words, 2.0, pieces)
    node, total, sums = hot.start, 0.0, []
    for symbol in ids:
        total += hot.gains[node, symbol]
        node = hot.following[node, symbol]
        sums.append(total)
    return sums, total + hot.gains_at_end[node]


def occurrences(words, text, boundary=" "):
    """The characters of all hot words in a text, each counted where it occurs as a word."""
    text = f"{boundary}{text}{boundary}"
    patterns = [f"{boundary}{word}{boundary}" for word in set(words)]
    return sum(
        len(pattern) - 2 * len(boundary)
        for pattern in patterns
        for start in range(len(text))
        if text.startswith(pattern, start)
    )


@given(
    st.sets(st.sampled_from(WORDS), min_size=1),
    st.lists(st.integers(1, len(PIECES) - 1), max_size=10),
)
@settings(max_examples=200, deadline=None)
def test_an_output_gains_the_characters_of_its_hot_words(words, ids):
    text = "".join(PIECES[symbol] for symbol in ids)
    _, total = symbol_by_symbol(sorted(words), ids)
    assert total == 2 * occurrences(words, text)


@given(st.sets(st.sampled_from(["a", "ab", "bab", "bb"]), min_size=1), st.text("abc", max_size=12))
@settings(max_examples=100, deadline=None)
def test_without_spaces_in_the_alphabet_hot_words_are_anywhere(words, text):
    pieces = ["", "a", "b", "c"]
    _, total = symbol_by_symbol(sorted(words), [pieces.index(letter) for letter in text], pieces)
    assert total == 2 * occurrences(words, text, boundary="")


def test_the_beginning_of_a_hot_word_gains_until_it_fails():
    pieces = ["", *"catlog "]
    sums, total = symbol_by_symbol(["cat log"], [pieces.index(letter) for letter in "a cat log"], pieces)
    assert sums == [0, 0, 2, 4, 6, 8, 10, 12, 14]
    assert total == 14
    # "catalog" is not "cat": the characters are taken back at the first one that differs. A complete word stays.
    sums, total = symbol_by_symbol(["cat"], [pieces.index(letter) for letter in "catalog"], pieces)
    assert sums == [2, 4, 6, 0, 0, 0, 0]
    assert total == 0
    sums, total = symbol_by_symbol(["cat", "cat log"], [pieces.index(letter) for letter in "cat lo"], pieces)
    assert sums == [2, 4, 6, 14, 16, 18]
    assert total == 6


def log_probs(seed, frames, size, sharp=1.5):
    logits = sharp * np.random.default_rng(seed).normal(size=(frames, size))
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def test_scores_of_the_search_contain_the_hot_words():
    values, words = log_probs(0, 5, 5), ("ab", "a", "ab ab")
    pieces = PIECES[:5]
    exact = CTCBeamOptions(beam=10**4, token_threshold=math.inf, beam_threshold=math.inf, max_pending=None)
    options = replace(exact, hot_words=words, hot_word_weight=0.7, length_bonus=0.1)
    plain = {tuple(one.ids): one.log_probability for one in ctc_beam_search(values, exact)}
    hypotheses = ctc_beam_search(values, options, pieces=pieces)
    assert len(hypotheses) == len(plain) > 500
    for one in hypotheses:
        text = "".join(pieces[symbol] for symbol in one.ids)
        added = 0.7 * occurrences(words, text) + 0.1 * len(one.ids)
        assert one.score == pytest.approx(plain[tuple(one.ids)] + added)


def test_a_hot_word_wins_over_a_word_that_sounds_like_it():
    pieces = ["", *"catp "]
    values = np.full((5, 6), math.log(0.001))
    for frame, letters in enumerate(["c", "a", "tp", " ", "a"]):
        for letter, share in zip(letters, (0.4, 0.6) if len(letters) == 2 else (1.0,), strict=True):
            values[frame, pieces.index(letter)] = math.log(0.99 * share)
    assert "".join(pieces[symbol] for symbol in ctc_beam_search(values, pieces=pieces)[0].ids) == "cap a"
    options = CTCBeamOptions(hot_words=("cat",), max_pending=1)
    beam = CTCBeam(options, pieces=pieces)
    for frame in values:
        beam.accept(frame[None])
    assert "".join(pieces[symbol] for symbol in beam.finish()[0].ids) == "cat a"
    assert beam.finish() == ctc_beam_search(values, options, pieces=pieces)


def test_several_spaces_and_repeated_hot_words_count_once():
    ids = [PIECES.index(letter) for letter in "ab a"]
    assert symbol_by_symbol(["ab  a", " ab a ", "ab a"], ids) == symbol_by_symbol(["ab a"], ids)


def test_messages():
    with pytest.raises(InputError, match="hot_words need pieces"):
        CTCBeam(CTCBeamOptions(hot_words=("a",)))
    with pytest.raises(InputError, match="hot word 'aB' contains 'B', which no symbol of the network contains"):
        CTCBeam(CTCBeamOptions(hot_words=("aB",)), pieces=PIECES)
    with pytest.raises(InputError, match="hot word 'a b' contains a space, which no symbol"):
        CTCBeam(CTCBeamOptions(hot_words=("a b",)), pieces=["", "a", "b"])
