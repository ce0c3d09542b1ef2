"""Labels of words: accuracy, spans, a table by label, confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from recurra.data.spans import OUTSIDE, Span, spans_of
from recurra.metrics.spans import SpanScores, precision_recall_f1, ratio

# Words on either side of a confused one that its example shows.
_CONTEXT = 4


@dataclass
class LabelScores:
    """The scores of one label, counted sentence by sentence.

    Args:
        scheme: how labels mark spans, of `recurra.data.spans.SCHEMES`; None where they mark none.
    """

    scheme: str | None
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(reference label, predicted label) to how often."""
    examples: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """The first word of each confused pair."""
    known: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    """(the word is known, the label is correct) to how often."""
    sentences: int = 0
    """Sentences with a label."""
    correct_sentences: int = 0
    """Those of which every label is correct."""
    missing: int = 0
    """Words without a label: no score counts them."""
    spans: SpanScores = field(default_factory=SpanScores)

    def add(
        self,
        expected: Sequence[str | None],
        predicted: Sequence[str],
        known: Sequence[bool],
        words: Sequence[Any],
        place: str,
        *,
        unsure: Collection[int] = (),
    ) -> None:
        """Counts one sentence.

        Args:
            expected: the labels of the reference; None for words without one.
            predicted: the predicted labels.
            known: whether training had each word.
            words: the words, for examples.
            place: where the sentence is, for examples.
            unsure: words whose part in a span is not known: spans that hold one are not scored.
        """
        labelled = [(label, other) for label, other in zip(expected, predicted, strict=True) if label is not None]
        self.missing += len(expected) - len(labelled)
        self.sentences += bool(labelled)
        self.correct_sentences += bool(labelled) and all(label == other for label, other in labelled)
        for number, (label, other) in enumerate(zip(expected, predicted, strict=True)):
            if label is None:
                continue
            self.pairs[label, other] += 1
            self.known[known[number], label == other] += 1
            if label != other and (label, other) not in self.examples:
                self.examples[label, other] = _example(words, number, place)
        if self.scheme is not None:
            complete = [OUTSIDE if label is None else label for label in expected]
            self.spans.add(*(_scored(spans_of(labels, self.scheme), unsure) for labels in (complete, predicted)))

    def result(self) -> dict[str, Any]:
        """Every score, as fractions; None where there is nothing to divide by."""
        total = self.known.total()
        correct = sum(count for (_, right), count in self.known.items() if right)
        scores: dict[str, Any] = {
            "accuracy": ratio(correct, total),
            "accuracy_known": self._accuracy(True),
            "accuracy_unknown": self._accuracy(False),
            "accuracy_sentences": ratio(self.correct_sentences, self.sentences),
            "words": total,
            "missing": self.missing,
            "unknown_words": self.known[False, True] + self.known[False, False],
            "sentences": self.sentences,
        }
        if self.scheme is not None:
            overall = self.spans.overall() if total else dict.fromkeys(("precision", "recall", "f1"))
            scores = {**overall, **scores, "spans": self.spans.expected.total(), "by_span": self.spans.by_type()}
        return {**scores, "by_label": self._by_label(), "confusions": self._confusions()}

    def _accuracy(self, known: bool) -> float | None:
        return ratio(self.known[known, True], self.known[known, True] + self.known[known, False])

    def _by_label(self) -> list[dict[str, Any]]:
        expected, predicted = Counter[str](), Counter[str]()
        for (label, other), count in self.pairs.items():
            expected[label] += count
            predicted[other] += count
        order = sorted(expected.keys() | predicted.keys(), key=lambda label: (-expected[label], label))
        return [
            {
                "label": label,
                "count": expected[label],
                **precision_recall_f1(self.pairs[label, label], predicted[label], expected[label]),
            }
            for label in order
        ]

    def _confusions(self) -> list[dict[str, Any]]:
        wrong = [(pair, count) for pair, count in self.pairs.items() if pair[0] != pair[1]]
        wrong.sort(key=lambda item: (-item[1], item[0]))
        return [
            {"label": pair[0], "predicted": pair[1], "count": count, **self.examples[pair]} for pair, count in wrong
        ]


def _scored(spans: list[Span], unsure: Collection[int]) -> set[Span]:
    return {span for span in spans if not any(word in unsure for word in range(span.start, span.end))}


def _example(words: Sequence[Any], number: int, place: str) -> dict[str, Any]:
    before, after = words[max(0, number - _CONTEXT) : number], words[number + 1 : number + 1 + _CONTEXT]
    return {"word": words[number], "before": list(before), "after": list(after), "place": place}
