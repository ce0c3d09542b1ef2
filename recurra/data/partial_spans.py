"""Span labels of sentences in which some words have none: what is known of each word, coded as BIOES.

A label of several letters stands for any of them: BS-PER is B-PER or S-PER. Such labels are needed where a scheme that
does not mark ends meets a word without a label: of B-PER before it, nobody knows whether the span goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, product

from recurra.data.spans import MARKS_ENDS, OUTSIDE, READ, convert, divide_label, labels_of, spans_of

Label = str | None
CODED, CODED_LETTERS = "bioes", "BIES"
OPEN = ("BI", "BS", "IE", "ES", "BIES")
"""The letters of labels that stand for several."""
# From (begins its span, ends its span) to the letter.
_LETTER = {(True, False): "B", (False, False): "I", (False, True): "E", (True, True): "S"}


def members(label: str) -> list[str]:
    """The labels that a coded one stands for: B-PER and S-PER of BS-PER, itself where it has one letter."""
    letters, kind = divide_label(label)
    return [f"{letter}-{kind}" for letter in letters] if letters in OPEN else [label]


def unsure_words(coded: Sequence[Label]) -> frozenset[int]:
    """The words whose span is not known: without a label, of several letters, or in a span that runs into such a word.

    Args:
        coded: labels as `code` returns them.
    """
    if None not in coded:
        return frozenset()
    unsure = set()
    for place, label in enumerate(coded):
        letters = "" if label is None else divide_label(label)[0]
        goes_on = letters in ("B", "I") and place + 1 < len(coded) and coded[place + 1] is None
        came_in = letters in ("I", "E") and place > 0 and coded[place - 1] is None
        if label is None or letters in OPEN or goes_on or came_in:
            unsure.add(place)
    return frozenset(unsure)


def code(labels: Sequence[Label], scheme: str) -> list[Label]:
    """Labels coded as BIOES; None stays None.

    The sequences that a partly labelled sentence stands for are all well-formed ones whose words have these labels.
    Of IOB1 it may be a few more: adjacent spans of a type after a word without a label, before an I- in the file.

    Args:
        labels: well formed; None for a word without a label.
        scheme: of the labels.
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


def mended(labels: Sequence[Label], scheme: str) -> list[Label]:
    """Labels that are not well formed as scorers read them: a word without a label ends the span before it."""
    fixed: list[Label] = []
    for is_missing, run in groupby(labels, key=lambda label: label is None):
        words = list(run)
        fixed += words if is_missing else convert([label for label in words if label is not None], scheme, scheme)
    return fixed


def _renamed(label: str, scheme: str) -> str:
    """A label of a scheme that marks ends in the letters of BIOES."""
    letter, kind = divide_label(label)
    return label if label == OUTSIDE else f"{READ[scheme][letter]}-{kind}"


def _segment(labels: list[str], scheme: str, *, before: bool, after: bool) -> list[Label]:
    """Consecutive labels of bio, iob1 or io, coded; `before` and `after` are whether words without a label adjoin."""
    coded: list[Label] = list(labels_of([], len(labels), CODED))
    for kind, start, end in spans_of(labels, scheme):
        # What each word may be: whether its span begins with it, and whether it ends with it.
        begins = [{place == start} for place in range(start, end)]
        ends = [{place == end - 1} for place in range(start, end)]
        if start == 0 and before and labels[0][0] == "I":
            # In BIO, I- goes on from the word before, whatever that is; in IOB1 and IO it may also begin a span.
            begins[0] = {False} if scheme == "bio" else {True, False}
        if end == len(labels) and after:
            ends[-1] = {True, False}
        for place, begin, last in zip(range(start, end), begins, ends, strict=True):
            letters = {_LETTER[choice] for choice in product(begin, last)}
            coded[place] = "".join(letter for letter in CODED_LETTERS if letter in letters) + f"-{kind}"
    return coded
