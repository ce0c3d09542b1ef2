"""Precision, recall and F1, and those of spans such as named entities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from recurra.data.spans import Span


def ratio(part: int, whole: int) -> float | None:
    """`part / whole`; None where there is nothing to divide by."""
    return part / whole if whole else None


def precision_recall_f1(correct: int, predicted: int, expected: int) -> dict[str, float]:
    """`precision`, `recall` and `f1` from counts; 0 where there is nothing to divide by, as in seqeval.

    Args:
        correct: items that are both predicted and expected.
        predicted: predicted items.
        expected: items of the reference.
    """
    precision, recall = ratio(correct, predicted) or 0.0, ratio(correct, expected) or 0.0
    return {"precision": precision, "recall": recall, "f1": ratio(2 * correct, predicted + expected) or 0.0}


@dataclass
class SpanScores:
    """Spans counted by type; a predicted span is correct where type, start and end are those of a reference span."""

    predicted: Counter[str] = field(default_factory=Counter)
    expected: Counter[str] = field(default_factory=Counter)
    correct: Counter[str] = field(default_factory=Counter)

    def add(self, expected: Collection[Span], predicted: Collection[Span]) -> None:
        """Counts the spans of one sentence: those of the reference and those predicted."""
        self.expected.update(span.kind for span in expected)
        self.predicted.update(span.kind for span in predicted)
        self.correct.update(span.kind for span in set(expected) & set(predicted))

    def overall(self) -> dict[str, float]:
        """`precision`, `recall` and `f1` over the spans of all types."""
        return precision_recall_f1(self.correct.total(), self.predicted.total(), self.expected.total())

    def by_type(self) -> list[dict[str, Any]]:
        """For each type `span`, its name, `count`, the spans of the reference, `precision`, `recall` and `f1`."""
        return [
            {
                "span": kind,
                "count": self.expected[kind],
                **precision_recall_f1(self.correct[kind], self.predicted[kind], self.expected[kind]),
            }
            for kind in sorted(self.expected.keys() | self.predicted.keys())
        ]
