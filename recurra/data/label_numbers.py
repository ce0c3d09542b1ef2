"""Labels as numbers: those of a vocabulary, and numbers for labels that are missing, unknown or one of several.

Numbers from 0 are positions in the vocabulary's values. A word counts in the loss if its number is one of these, or
`OPEN` or less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy.typing as npt
import torch
from torch import Tensor

from recurra.data.partial_spans import CODED_LETTERS, code, members, unsure_words
from recurra.data.partial_spans import OPEN as OPEN_LETTERS
from recurra.data.spans import convert, divide_label, letter_of

Numbers = TypeVar("Numbers", Tensor, npt.NDArray[Any])

# A label that does not occur in the training data: it has no loss, and any prediction is an error.
UNSEEN = -1
# No label, or padding: no loss and no score.
MISSING = -2
# OPEN - n is an ambiguous label, one of several: row n of `possible_labels`.
OPEN = -3


def counts(number: int) -> bool:
    """Whether a word with this number takes part in the loss."""
    return number >= 0 or number <= OPEN


def is_labelled(number: int) -> bool:
    """Whether a word with this number has a label."""
    return number != MISSING


def counted(labels: Numbers) -> Numbers:
    """Returns `counts` of each number of a tensor or array."""
    return (labels >= 0) | (labels <= OPEN)


class LabelNumbers:
    """Converts the labels of files to the numbers that a network predicts, and back.

    Args:
        values: the values that the network predicts, in the order of their numbers; BIOES if labels mark spans.
        scheme: how the labels of files mark spans, of `recurra.data.spans.SCHEMES`; None if they mark none.
    """

    def __init__(self, values: Sequence[str], scheme: str | None) -> None:
        self._values, self._scheme = values, scheme
        self._numbers: dict[str | None, int] = {value: number for number, value in enumerate(values)}
        # An ambiguous label without a possibility among the values is not in this table: it is unseen.
        for place, value in enumerate(_open_labels(values) if scheme is not None else ()):
            self._numbers[value] = OPEN - place
        self._numbers[None] = MISSING
        # From each label as files spell it to all numbers that represent it.
        self._numbers_of: dict[str, list[int]] = {}
        for number, value in enumerate(values):
            self._numbers_of.setdefault(self._spelling(value), []).append(number)
            letter, kind = divide_label(value)
            if scheme == "iob1" and letter in ("B", "S"):
                self._numbers_of.setdefault(f"B-{kind}", []).append(number)

    def code(self, labels: Sequence[str | None]) -> list[str | None]:
        """Converts the labels of a sentence to the network's values: span labels to BIOES; None stays None.

        BIOES, whatever the files have, because B and E carry more information than B alone (Ratinov & Roth 2009), and
        the conversion back loses nothing.
        """
        return list(labels) if self._scheme is None else code(labels, self._scheme)

    def number(self, value: str | None) -> int:
        """Returns the number of a value that `code` returned."""
        return self._numbers.get(value, UNSEEN)

    def unsure(self, labels: Sequence[str | None]) -> frozenset[int]:
        """Returns the words of a sentence whose span is unknown: they, or words next to them, have no label."""
        return frozenset() if self._scheme is None or None not in labels else unsure_words(self.code(labels))

    def labels(self, numbers: Sequence[int]) -> list[str]:
        """Converts the numbers of a whole sentence, from 0, to labels as files spell them."""
        values = [self._values[number] for number in numbers]
        return values if self._scheme is None else convert(values, self._scheme)

    def single_label(self, number: int, before: int | None = None) -> str:
        """Converts the number of one word, while the words after it are unknown.

        Args:
            number: from 0.
            before: the number of the word before, None at the beginning of a sentence; only IOB1 depends on it.
        """
        letter, kind = divide_label(self._values[number])
        if self._scheme == "iob1" and letter in ("B", "S") and before is not None:
            adjacent = divide_label(self._values[before])[1] == kind
            return f"{'B' if adjacent else 'I'}-{kind}"
        return self._spelling(self._values[number])

    def numbers_of(self, label: str) -> list[int]:
        """Returns all numbers that represent a label of a file; none if it is not in the training data.

        In IOB1, where this depends on the word before, I-X is any word of a span of X, and B-X any first one.
        """
        return self._numbers_of.get(label, [])

    def _spelling(self, value: str) -> str:
        """A value as files spell it: in BIO, the network's S-PER and E-PER are B-PER and I-PER."""
        letter, kind = divide_label(value)
        if self._scheme is None or letter not in CODED_LETTERS or not kind:
            return value
        return f"{letter_of(letter, self._scheme)}-{kind}"


def possible_labels(values: Sequence[str], *, spans: bool) -> Tensor:
    """Returns the possibilities of ambiguous labels, bool (N, K): row n is that of number OPEN - n.

    Args:
        values: the K values.
        spans: whether they mark spans, in BIOES; otherwise no label is ambiguous, and N = 0.
    """
    labels = _open_labels(values) if spans else []
    rows = [[value in members(label) for value in values] for label in labels]
    return torch.tensor(rows, dtype=torch.bool).reshape(len(rows), len(values))


def _open_labels(values: Sequence[str]) -> list[str]:
    """The ambiguous labels, such as BS-PER, with at least one of these values among their possibilities."""
    kinds = sorted({divide_label(value)[1] for value in values} - {""})
    known = set(values)
    labels = [f"{letters}-{kind}" for kind in kinds for letters in OPEN_LETTERS]
    return [label for label in labels if known.intersection(members(label))]
