"""Labels that mark spans: what they mean, when they are well formed, and from one scheme to the other."""

import random

import pytest

from recurra.data.span_schemes import scheme_of
from recurra.data.spans import Span, convert, first_fault, labels_of, may_follow, spans_of

LABELS = ["O", "B-X", "I-X", "E-X", "S-X", "B-Y", "I-Y", "E-Y", "S-Y"]


def drawn(labels, count=400):
    generator = random.Random(7)
    return [[generator.choice(labels) for _ in range(generator.randint(1, 8))] for _ in range(count)]


@pytest.mark.parametrize("labels", [LABELS, [label for label in LABELS if label[0] in "OBI"]])
def test_spans_are_those_of_seqeval_well_formed_or_not(labels):
    sequence_labeling = pytest.importorskip("seqeval.metrics.sequence_labeling")
    for sequence in drawn(labels):
        assert spans_of(sequence) == [
            Span(kind, start, end + 1) for kind, start, end in sequence_labeling.get_entities(sequence)
        ], sequence


@pytest.mark.parametrize("scheme", ["bio", "bioes"])
def test_labels_of_spans_mark_those_spans_and_are_well_formed(scheme):
    for sequence in drawn(LABELS):
        made = convert(sequence, scheme)
        assert first_fault(made, scheme) is None
        assert spans_of(made) == spans_of(sequence)
        assert scheme_of([*made, "B-X"]) in (scheme, "bio")


def test_both_schemes_by_hand():
    spans = [Span("X", 0, 1), Span("Y", 1, 4)]
    assert labels_of(spans, 5, "bio") == ["B-X", "B-Y", "I-Y", "I-Y", "O"]
    assert labels_of(spans, 5, "bioes") == ["S-X", "B-Y", "I-Y", "E-Y", "O"]


@pytest.mark.parametrize(
    ("labels", "scheme", "fault"),
    [
        (["O", "I-X"], "bio", (1, "I-X follows O")),
        (["I-X"], "bio", (0, "I-X begins the sentence")),
        (["B-X", "I-Y"], "bio", (1, "I-Y follows B-X")),
        (["B-X", "X"], "bio", (1, "label 'X' is not a BIO label")),
        (["B-X", "E-X"], "bio", (1, "label 'E-X' is not a BIO label")),
        (["B-X", "O"], "bioes", (1, "O follows B-X")),
        (["B-X", "I-X"], "bioes", (1, "I-X ends the sentence")),
        (["S-X", "E-X"], "bioes", (1, "E-X follows S-X")),
        (["B-X", "B-X", "I-X", "O"], "bio", None),
        (["B-X", "E-X", "S-Y"], "bioes", None),
    ],
)
def test_where_a_sequence_is_not_well_formed(labels, scheme, fault):
    assert first_fault(labels, scheme) == fault


def test_what_may_follow_agrees_with_what_is_well_formed():
    for scheme in ("bio", "bioes"):
        for sequence in drawn(LABELS[: 3 if scheme == "bio" else 5]):
            steps = zip([None, *sequence], [*sequence, None], strict=True)
            assert all(may_follow(before, after, scheme) for before, after in steps) == (
                first_fault(sequence, scheme) is None
            )


@pytest.mark.parametrize(
    ("labels", "scheme"),
    [
        (["O", "B-X", "I-X"], "bio"),
        (["O", "B-X", "E-X"], "bioes"),
        (["S-X"], "bioes"),
        (["NOUN", "VERB"], None),
        (["O", "X"], None),
        (["O", "I-X"], "io"),
        (["O"], None),
    ],
)
def test_the_scheme_shows_in_the_labels(labels, scheme):
    assert scheme_of(labels) == scheme
