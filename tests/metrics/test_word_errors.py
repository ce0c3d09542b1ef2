"""Word and character errors: jiwer is the oracle, and brute force decides between equally good alignments."""

import itertools
import random

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.errors import InputError
from recurra.metrics import (
    ErrorCounts,
    align_units,
    error_counts,
    errors_by_group,
    units_of,
    utterance_errors,
    worst_utterances,
)

WORDS = ["a", "b", "c", "dd", "日本", "É"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_totals_equal_jiwer(pairs):
    references, hypotheses = ([*texts] for texts in zip(*pairs, strict=True))
    for unit, process in (("word", jiwer.process_words), ("char", jiwer.process_characters)):
        expected, counts = process(references, hypotheses), error_counts(references, hypotheses, unit)
        assert counts.errors == expected.substitutions + expected.insertions + expected.deletions
        assert counts.insertions - counts.deletions == expected.insertions - expected.deletions
        assert counts.length == counts.hits + counts.substitutions + counts.deletions
        if counts.length:
            assert counts.rate == pytest.approx(expected.wer if unit == "word" else expected.cer)


def every_alignment(first, second):
    """The counts (errors, -hits) of every alignment of two short sequences."""
    if not first or not second:
        return {(len(first) + len(second), 0)}
    equal = first[0] == second[0]
    results = {(errors + (not equal), hits - equal) for errors, hits in every_alignment(first[1:], second[1:])}
    results |= {(errors + 1, hits) for errors, hits in every_alignment(first[1:], second)}
    return results | {(errors + 1, hits) for errors, hits in every_alignment(first, second[1:])}


@given(st.lists(st.sampled_from("abc"), max_size=5), st.lists(st.sampled_from("abc"), max_size=5))
@settings(max_examples=100, deadline=None)
def test_the_fewest_errors_and_then_the_most_hits(first, second):
    [counts] = utterance_errors([" ".join(first)], [" ".join(second)])
    assert (counts.errors, -counts.hits) == min(every_alignment(first, second))
    # The alignment shown to people is one with the same counts.
    columns = align_units(first, second)
    markers = [column.marker for column in columns]
    assert [column.reference for column in columns if column.reference is not None] == first
    assert [column.hypothesis for column in columns if column.hypothesis is not None] == second
    found = ErrorCounts(*(markers.count(marker) for marker in ("S", "I", "D", "")), len(first))
    assert found == counts


def test_utterances_of_very_different_lengths_together():
    draw = random.Random(0)
    texts = [" ".join(draw.choices("abcd", k=draw.choice([0, 1, 5, 60, 200]))) for _ in range(80)]
    pairs = [*itertools.pairwise(texts)]
    together = utterance_errors(*zip(*pairs, strict=True))
    assert together == [error_counts([one], [other]) for one, other in pairs]
    oracle = [jiwer.process_words(one, other) for one, other in pairs]
    assert [one.errors for one in together] == [one.substitutions + one.insertions + one.deletions for one in oracle]


def test_the_rate_of_a_set_counts_units_and_not_utterances():
    counts = error_counts(["a b c d", "a"], ["a b c d", "b"])
    assert counts == ErrorCounts(substitutions=1, insertions=0, deletions=0, hits=4, length=5)
    assert counts.rate == 1 / 5
    assert error_counts(["a"], ["a b c d"]).rate == 3


def test_empty_texts():
    assert error_counts([], []) == ErrorCounts()
    assert error_counts([""], [""]).rate == 0
    assert error_counts(["", " "], ["a b", "c"]).rate == 1
    assert error_counts(["a b"], [""]) == ErrorCounts(deletions=2, length=2)
    assert error_counts(["", "a b"], ["c", "a b"]) == ErrorCounts(insertions=1, hits=2, length=2)


def test_characters_are_those_of_the_words_and_one_space_between_two():
    assert units_of(" a\tbc\n", "char") == ["a", " ", "b", "c"]
    assert error_counts(["a  b"], ["a b"], "char").errors == 0
    assert error_counts(["ab c"], ["a bc"], "char").errors == 2


def test_errors_by_speaker():
    counts = errors_by_group(["a b", "c", "a"], ["a", "c", "x"], ["kim", "lee", "kim"])
    assert counts == {
        "kim": ErrorCounts(substitutions=1, deletions=1, hits=1, length=3),
        "lee": ErrorCounts(hits=1, length=1),
    }
    assert list(counts) == ["kim", "lee"]


def test_the_worst_utterances_have_the_most_errors_and_of_those_the_highest_rate():
    errors = utterance_errors(["a b c", "a", "a b", "a b c d"], ["a b c", "x", "x", "x y c d"])
    assert worst_utterances(errors, 9) == [2, 3, 1]
    assert worst_utterances(errors, 1) == [2]


def test_messages():
    with pytest.raises(InputError, match="2 references and 1 hypotheses: expected one hypothesis per reference"):
        error_counts(["a", "b"], ["a"])
    with pytest.raises(InputError, match="unit='line': expected 'word' or 'char'"):
        error_counts(["a"], ["a"], "line")
    with pytest.raises(InputError, match="1 groups of 2 utterances: expected one group per utterance"):
        errors_by_group(["a", "b"], ["a", "b"], ["kim"])
