"""Word and character errors of recognised text: substitutions, insertions and deletions."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from recurra.errors import InputError
from recurra.metrics.edit_distance import Ids, edit_distances

Unit = Literal["word", "char"]
G = TypeVar("G", bound=Hashable)


@dataclass(frozen=True)
class ErrorCounts:
    """Errors of one or more hypotheses against their references, by kind. Counts can be added with `+`."""

    substitutions: int = 0
    insertions: int = 0
    """Units of the hypothesis without a counterpart in the reference."""
    deletions: int = 0
    """Units of the reference without a counterpart in the hypothesis."""
    hits: int = 0
    """Units that are equal in both."""
    length: int = 0
    """Units of the reference: hits, substitutions and deletions."""

    @property
    def errors(self) -> int:
        """Substitutions, insertions and deletions."""
        return self.substitutions + self.insertions + self.deletions

    @property
    def rate(self) -> float:
        """Errors divided by the length of the reference, a fraction that exceeds 1 if there are many insertions.

        For a reference without any unit it is 0 if the hypothesis has none either, and 1 otherwise.
        """
        return self.errors / self.length if self.length else float(self.errors > 0)

    def __add__(self, other: ErrorCounts) -> ErrorCounts:
        return ErrorCounts(
            self.substitutions + other.substitutions,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
            self.hits + other.hits,
            self.length + other.length,
        )


def units_of(text: str, unit: Unit) -> list[str]:
    """Returns the words or characters of a text that error rates compare.

    Args:
        text: any text; case and punctuation count as they are.
        unit: "word" for what whitespace separates. "char" for the characters (Unicode code points) of these words and
            one space between two words.

    Raises:
        InputError: `unit` is neither.
    """
    if unit not in ("word", "char"):
        raise InputError(f"unit={unit!r}: expected 'word' or 'char'")
    words = text.split()
    return words if unit == "word" else list(" ".join(words))


def error_counts(references: Sequence[str], hypotheses: Sequence[str], unit: Unit = "word") -> ErrorCounts:
    """Returns the errors of a set of utterances; its `rate` is the word or character error rate of the set.

    The rate is the number of errors of all utterances divided by the number of units of all references, not a mean of
    the rates of the utterances.

    Args:
        references: what was spoken, one text per utterance; a text may be empty.
        hypotheses: what was recognised, in the same order.
        unit: "word" or "char", see `units_of`.

    Raises:
        InputError: there are more texts of one kind than of the other, or `unit` is invalid.
    """
    return sum(utterance_errors(references, hypotheses, unit), ErrorCounts())


def errors_by_group(
    references: Sequence[str], hypotheses: Sequence[str], groups: Sequence[G], unit: Unit = "word"
) -> dict[G, ErrorCounts]:
    """Returns the errors of each group of utterances, such as those of one speaker.

    Args:
        references: as for `error_counts`.
        hypotheses: as for `error_counts`.
        groups: the group of each utterance.
        unit: "word" or "char".

    Returns:
        The counts by group, in the order in which the groups occur.

    Raises:
        InputError: as `error_counts`, or the number of groups is not that of the utterances.
    """
    if len(groups) != len(references):
        raise InputError(f"{len(groups)} groups of {len(references)} utterances: expected one group per utterance")
    counts: dict[G, ErrorCounts] = {}
    for group, errors in zip(groups, utterance_errors(references, hypotheses, unit), strict=True):
        counts[group] = counts.get(group, ErrorCounts()) + errors
    return counts


def utterance_errors(references: Sequence[str], hypotheses: Sequence[str], unit: Unit = "word") -> list[ErrorCounts]:
    """Returns the errors of each utterance.

    The number of errors is the smallest one (Levenshtein). It may be reached by different alignments: for the words "a
    b" and "b c" by two substitutions, or by a deletion, a hit and an insertion. The alignment with the most hits
    counts, here the second, as in `align_units`.

    Args:
        references: as for `error_counts`.
        hypotheses: as for `error_counts`.
        unit: "word" or "char".

    Raises:
        InputError: as `error_counts`.
    """
    if len(references) != len(hypotheses):
        raise InputError(
            f"{len(references)} references and {len(hypotheses)} hypotheses: expected one hypothesis per reference"
        )
    numbers: dict[str, int] = {}
    pairs = [
        (_ids(one, unit, numbers), _ids(other, unit, numbers))
        for one, other in zip(references, hypotheses, strict=True)
    ]
    # Costs by which the fewest errors come first and then the fewest substitutions: the sum is gap · errors +
    # substitutions, and an alignment has fewer substitutions than `gap`.
    gap = 1 + max((min(map(len, pair)) for pair in pairs), default=0)
    costs = edit_distances(pairs, gap=gap, substitution=gap + 1)
    return [_counts(*map(len, pair), *divmod(cost, gap)) for pair, cost in zip(pairs, costs.tolist(), strict=True)]


def _ids(text: str, unit: Unit, numbers: dict[str, int]) -> Ids:
    return np.array([numbers.setdefault(one, len(numbers)) for one in units_of(text, unit)], dtype=np.int64)


def _counts(length: int, hypothesis: int, errors: int, substitutions: int) -> ErrorCounts:
    """Returns the counts that follow from the two lengths: deletions - insertions is their difference."""
    gaps = errors - substitutions
    deletions = (gaps + length - hypothesis) // 2
    insertions = gaps - deletions
    return ErrorCounts(substitutions, insertions, deletions, length - substitutions - deletions, length)


def worst_utterances(errors: Sequence[ErrorCounts], count: int) -> list[int]:
    """Returns the numbers of the utterances with the most errors, of equal ones those with the higher rate, then order.

    Args:
        errors: of each utterance, as from `utterance_errors`.
        count: largest number of utterances; those without an error are never among them.
    """
    wrong = [number for number, one in enumerate(errors) if one.errors]
    return sorted(wrong, key=lambda number: (-errors[number].errors, -errors[number].rate))[:count]
