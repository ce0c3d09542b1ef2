"""Span labels of partially labelled sentences, converted to BIOES with sets of possible labels.

A label with several letters represents any of them: BS-PER is B-PER or S-PER. Such labels are needed next to words
without a label in schemes that do not mark the end of a span: whether the span of a preceding B-PER continues there is
unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, product

from recurra.data.spans import MARKS_ENDS, OUTSIDE, READ, convert, divide_label, labels_of, spans_of

Label = str | None
CODED, CODED_LETTERS = "bioes", "BIES"
OPEN = ("BI", "BS", "IE", "ES", "BIES")
"""The letters of labels with several possibilities."""
# From (begins its span, ends its span) to the letter.
_LETTER = {(True, False): "B", (False, False): "I", (False, True): "E", (True, True): "S"}


def members(label: str) -> list[str]:
    """Returns the labels that a coded label represents: B-PER and S-PER for BS-PER, itself for one letter."""
    letters, kind = divide_label(label)
    return [f"{letter}-{kind}" for letter in letters] if letters in OPEN else [label]


def unsure_words(coded: Sequence[Label]) -> frozenset[int]:
    """Returns the words whose span is unknown: no label, several letters, or next to a word without a label.

    Args:
        coded: labels as returned by `code`.
    """
    if None not in coded:
        return frozenset()
    unsure = set()
    for place, label in enumerate(coded):
        letters = "" if label is None else divide_label(label)[0]
        # A span that continues into, or from, a word without a label.
        continues_into = letters in ("B", "I") and place + 1 < len(coded) and coded[place + 1] is None
        continues_from = letters in ("I", "E") and place > 0 and coded[place - 1] is None
        if label is None or letters in OPEN or continues_into or continues_from:
            unsure.add(place)
    return frozenset(unsure)


def code(labels: Sequence[Label], scheme: str) -> list[Label]:
    """Converts labels to BIOES; None stays None.

    A partially labelled sentence represents all well-formed sequences that have these labels. For IOB1 the result may
    represent a few more: adjacent spans of one type after a word without a label, before an I- in the file.

    Args:
        labels: well-formed labels; None for a word without a label.
        scheme: the scheme of the labels.
    """
    complete = [label for label in labels if label is not None]
    if len(complete) == len(labels):
        return list(convert(complete, CODED, scheme))
    coded: list[Label] = []
    for is_missing, run in groupby(labels, key=lambda label: label is None):
        words = list(run)
        segment = [label for label in words if label is not None]
        if is_missing:
            coded += words
        elif scheme in MARKS_ENDS:
            coded += [_renamed(label, scheme) for label in segment]
        else:
            coded += _segment(segment, scheme, before=bool(coded), after=len(coded) + len(segment) < len(labels))
    return coded


def repair(labels: Sequence[Label], scheme: str) -> list[Label]:
    """Makes labels well formed as scorers read them: a word without a label ends the span before it."""
    fixed: list[Label] = []
    for is_missing, run in groupby(labels, key=lambda label: label is None):
        words = list(run)
        fixed += words if is_missing else convert([label for label in words if label is not None], scheme, scheme)
    return fixed


def _renamed(label: str, scheme: str) -> str:
    """Converts a label of a scheme that marks ends to the letters of BIOES."""
    letter, kind = divide_label(label)
    return label if label == OUTSIDE else f"{READ[scheme][letter]}-{kind}"


def _segment(labels: list[str], scheme: str, *, before: bool, after: bool) -> list[Label]:
    """Codes consecutive labels of bio, iob1 or io; `before` and `after` say whether a word without a label adjoins."""
    coded: list[Label] = list(labels_of([], len(labels), CODED))
    for kind, start, end in spans_of(labels, scheme):
        # The possibilities of each word: whether it begins its span, and whether it ends it.
        begins = [{place == start} for place in range(start, end)]
        ends = [{place == end - 1} for place in range(start, end)]
        if start == 0 and before and labels[0][0] == "I":
            # In BIO, I- continues a span from the word before; in IOB1 and IO it may also begin one.
            begins[0] = {False} if scheme == "bio" else {True, False}
        if end == len(labels) and after:
            ends[-1] = {True, False}
        for place, begin, last in zip(range(start, end), begins, ends, strict=True):
            letters = {_LETTER[choice] for choice in product(begin, last)}
            coded[place] = "".join(letter for letter in CODED_LETTERS if letter in letters) + f"-{kind}"
    return coded
