"""Labels as numbers: those that training had, and what stands for labels that are missing, unknown or one of several.

0 and above are the vocabulary's values. A word counts in the loss where its number is one of these, or `OPEN` or less.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from recurra.data.partial_spans import OPEN as OPEN_LETTERS
from recurra.data.partial_spans import members
from recurra.data.spans import divide_label

# A label that training never had: it has no loss, and whatever is predicted is wrong.
UNSEEN = -1
# No label, or no word: no loss, no score.
MISSING = -2
# OPEN - n is one of several labels: row n of `possible_labels`.
OPEN = -3


def counts(number: int) -> bool:
    """Whether a word with this number takes part in the loss."""
    return number >= 0 or number <= OPEN


def is_labelled(number: int) -> bool:
    """Whether a word with this number has a label."""
    return number != MISSING


def counted(labels: Tensor) -> Tensor:
    """`counts` of each of some numbers."""
    return (labels >= 0) | (labels <= OPEN)


class LabelNumbers:
    """From the values of a label to their numbers.

    Args:
        values: as the network knows them, in the order of their numbers.
        spans: whether they mark spans, coded as BIOES.
    """

    def __init__(self, values: Sequence[str], *, spans: bool) -> None:
        self._numbers: dict[str | None, int] = {value: number for number, value in enumerate(values)}
        # A word whose label may be any of several, of which training had none, has a label that training never had.
        for place, value in enumerate(_open_labels(values) if spans else ()):
            self._numbers[value] = OPEN - place
        self._numbers[None] = MISSING

    def number(self, value: str | None) -> int:
        """The number of a value, None for a word without a label."""
        return self._numbers.get(value, UNSEEN)


def possible_labels(values: Sequence[str], *, spans: bool) -> Tensor:
    """What each of the labels that stand for several may be: bool (N, K), row n that of the number OPEN - n."""
    labels = _open_labels(values) if spans else []
    rows = [[value in members(label) for value in values] for label in labels]
    return torch.tensor(rows, dtype=torch.bool).reshape(len(rows), len(values))


def _open_labels(values: Sequence[str]) -> list[str]:
    """The labels that stand for several of some values, such as BS-PER."""
    kinds = sorted({divide_label(value)[1] for value in values} - {""})
    known = set(values)
    labels = [f"{letters}-{kind}" for kind in kinds for letters in OPEN_LETTERS]
    return [label for label in labels if known.intersection(members(label))]
