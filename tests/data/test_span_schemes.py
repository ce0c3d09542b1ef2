"""Every scheme of span labels against seqeval, which schemes are recognised, and sentences that are partly labelled."""

import itertools
import random

import pytest

from recurra.data.partial_spans import code, members, unsure_words
from recurra.data.span_schemes import SchemeFinder, looks_like_spans, scheme_of
from recurra.data.spans import SCHEMES, Span, convert, first_fault, rules, spans_of

STRICT = {"bio": "IOB2", "iob1": "IOB1", "bioes": "IOBES", "bilou": "BILOU"}


def labels_in(scheme, kinds="XY"):
    return ["O", *(f"{letter}-{kind}" for letter in SCHEMES[scheme] for kind in kinds)]


def well_formed(scheme, longest=4):
    for length in range(1, longest + 1):
        for sequence in itertools.product(labels_in(scheme), repeat=length):
            if first_fault(sequence, scheme) is None:
                yield list(sequence)


@pytest.mark.parametrize("scheme", STRICT)
def test_spans_of_well_formed_labels_are_those_of_seqevals_strict_mode(scheme):
    seqeval = pytest.importorskip("seqeval.scheme")
    count = 0
    for sequence in well_formed(scheme):
        entities = seqeval.Entities([sequence], getattr(seqeval, STRICT[scheme])).entities[0]
        assert spans_of(sequence, scheme) == [Span(one.tag, one.start, one.end) for one in entities], sequence
        count += 1
    assert count > 200


@pytest.mark.parametrize("scheme", SCHEMES)
def test_to_bioes_and_back_loses_nothing(scheme):
    for sequence in well_formed(scheme):
        assert convert(convert(sequence, "bioes", scheme), scheme) == sequence


def test_labels_of_each_scheme_by_hand():
    bioes = ["S-X", "B-X", "I-X", "E-X", "O", "S-Y"]
    assert convert(bioes, "bio") == ["B-X", "B-X", "I-X", "I-X", "O", "B-Y"]
    assert convert(bioes, "iob1") == ["I-X", "B-X", "I-X", "I-X", "O", "I-Y"]
    assert convert(bioes, "io") == ["I-X", "I-X", "I-X", "I-X", "O", "I-Y"]
    assert convert(bioes, "bilou") == ["U-X", "B-X", "I-X", "L-X", "O", "U-Y"]
    assert convert(bioes, "bmes") == ["S-X", "B-X", "M-X", "E-X", "O", "S-Y"]
    assert convert(bioes, "bmewo") == ["W-X", "B-X", "M-X", "E-X", "O", "W-Y"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_rules_allow_the_well_formed_sequences_alone(scheme):
    labels = labels_in(scheme)
    start, between, end = rules(labels, scheme)
    for sequence in itertools.product(range(len(labels)), repeat=3):
        steps = all(between[one, other] for one, other in itertools.pairwise(sequence))
        allowed = bool(start[sequence[0]]) and steps and bool(end[sequence[-1]])
        assert allowed == (first_fault([labels[number] for number in sequence], scheme) is None)


def test_spans_that_touch_can_be_forbidden():
    labels = ["O", "B-X", "E-X", "S-X", "B-Y"]
    free, apart = (rules(labels, "bioes", adjacent=adjacent).between for adjacent in (True, False))
    changed = {(labels[a], labels[b]) for a, b in (free & ~apart).nonzero().tolist()}
    assert changed == {("E-X", "B-X"), ("E-X", "S-X"), ("S-X", "B-X"), ("S-X", "S-X")}


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        ([["B-X", "I-X", "O"]], "bio"),
        ([["O"], ["B-X", "B-X"]], "bio"),
        ([["I-X", "B-X", "I-X", "O"], ["O", "I-X"]], "iob1"),
        ([["I-X", "I-Y", "O"]], "io"),
        ([["B-X", "I-X"], ["I-X", "O"]], "bio"),  # well formed in neither: read as BIO, whose fault is reported
        ([["B-X", "L-X", "U-Y", "O"]], "bilou"),
        ([["U-Y", "O"]], "bilou"),
        ([["B-X", "M-X", "E-X", "S-X"]], "bmes"),
        ([["B-X", "M-X", "E-X", "W-X"]], "bmewo"),
        ([["B-X", "E-X", "O"]], "bioes"),
        ([["B-X", None, "O"], [None, "I-X"]], "bio"),
        ([["NOUN", "B"]], None),
    ],
)
def test_the_scheme_shows_in_the_sentences(sentences, scheme):
    finder = SchemeFinder()
    for labels in sentences:
        finder.add(labels)
    assert finder.scheme() == scheme


@pytest.mark.parametrize(
    "labels",
    [
        ["O", "PER-B", "PER-I"],
        ["O", "B_PER", "I_PER"],
        ["o", "b-per", "i-per"],
        ["O", "B", "I"],
        ["B", "M", "E", "S"],
        ["O", "B-X", "I-X", "PAD"],
        ["O", "E-X"],
        ["O", "B-X", "M-X", "L-X"],
    ],
)
def test_labels_like_those_of_spans_are_noticed(labels):
    assert scheme_of(labels) is None
    assert set(looks_like_spans(labels)) <= set(labels)
    assert looks_like_spans(labels)


@pytest.mark.parametrize(
    "labels", [["NOUN", "VERB"], ["S", "L", "M"], ["NN", "NN-S", "PRP-S"], ["O", "X"], ["A-1", "B-1"], ["O"], []]
)
def test_other_labels_are_not(labels):
    assert scheme_of(labels) is None
    assert looks_like_spans(labels) == []


def completions(labels, scheme):
    """Every well-formed sequence with these labels, by trying all."""
    choices = [labels_in(scheme) if label is None else [label] for label in labels]
    return [one for one in itertools.product(*choices) if first_fault(one, scheme) is None]


def merges(sequence):
    return any(a[0] in "ES" and b[0] in "BS" and a[2:] == b[2:] for a, b in itertools.pairwise(sequence))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_partly_labelled_sentence_stands_for_all_its_completions(scheme):
    generator = random.Random(3)
    labels, count = labels_in(scheme), 0
    for _ in range(500):
        length = generator.randint(1, 4)
        sequence = [generator.choice(labels) if generator.random() < 0.6 else None for _ in range(length)]
        expected = completions(sequence, scheme)
        if not any(sequence):
            continue
        # Another type than those of the sentence is of no use to make it well formed.
        assert (first_fault(sequence, scheme) is None) == bool(expected), sequence
        if None not in sequence or not expected:
            continue
        choices = [labels_in("bioes") if one is None else members(one) for one in code(sequence, scheme)]
        coded = {one for one in itertools.product(*choices) if first_fault(one, "bioes") is None}
        coded -= {one for one in coded if scheme == "io" and merges(one)}
        wanted = {tuple(convert(one, "bioes", scheme)) for one in expected}
        assert wanted <= coded
        assert wanted == coded or scheme == "iob1"
        count += 1
    assert count > 50


def test_where_a_partly_labelled_sequence_is_not_well_formed():
    assert first_fault([None, "I-X"], "bio") is None
    assert first_fault(["O", None, None, "I-X"], "bio") is None
    assert first_fault(["B-X", None, "E-Y"], "bioes")[0] == 2
    assert first_fault(["B-X", None, None, "E-Y"], "bioes") is None
    assert first_fault(["B-X", None], "bioes") is None


@pytest.mark.parametrize("scheme", SCHEMES)
def test_words_are_unsure_where_completions_disagree_about_their_span(scheme):
    generator = random.Random(4)
    labels, count, missed = labels_in(scheme), 0, 0
    for _ in range(300):
        length = generator.randint(2, 4)
        sequence = [generator.choice(labels) if generator.random() < 0.6 else None for _ in range(length)]
        wholes = completions(sequence, scheme)
        if None not in sequence or not any(sequence) or not wholes:
            continue
        unsure = unsure_words(code(sequence, scheme))
        # A span that holds no unsure word is one of every completion. The other way round, a label two words further
        # may settle what a word without one must be, such as Y in B-X _ I-Y, which is not looked at.
        read = spans_of(["O" if label is None else label for label in sequence], scheme)
        sure = {span for span in read if not unsure.intersection(range(span.start, span.end))}
        common = set.intersection(*(set(spans_of(one, scheme)) for one in wholes))
        at_labels = {span for span in common if None not in sequence[span.start : span.end]}
        assert sure <= at_labels, (sequence, unsure)
        count += bool(sure)
        missed += sure != at_labels
    assert count > 5
    assert missed < count
