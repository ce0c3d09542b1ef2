"""How good a tagger is and on what it errs: accuracies, spans, a table by label, confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from recurra.data.spans import spans_of

# Words on either side of a confused one that its example shows.
_CONTEXT = 4


@dataclass
class Tally:
    """The scores of one label, sentence by sentence.

    Args:
        spans: whether labels mark spans.
    """

    spans: bool
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    known: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    """(the word is known, the label is right) to how often."""
    sentences: int = 0
    whole: int = 0
    found: Counter[str] = field(default_factory=Counter)
    """Spans predicted by type; then those in the file, and those in both."""
    wanted: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)

    def add(
        self, gold: Sequence[str], predicted: Sequence[str], known: Sequence[bool], words: Sequence[str], place: str
    ) -> None:
        """Count one sentence; `place` says where it is, for examples."""
        self.sentences += 1
        self.whole += list(gold) == list(predicted)
        for number, (one, other) in enumerate(zip(gold, predicted, strict=True)):
            self.pairs[one, other] += 1
            self.known[known[number], one == other] += 1
            if one != other and (one, other) not in self.examples:
                self.examples[one, other] = _example(words, number, place)
        if self.spans:
            wanted, found = set(spans_of(gold)), set(spans_of(predicted))
            self.wanted.update(span.kind for span in wanted)
            self.found.update(span.kind for span in found)
            self.right.update(span.kind for span in wanted & found)

    def result(self) -> dict[str, Any]:
        """Every score, as fractions; None where there is nothing to divide by."""
        total = self.known.total()
        correct = sum(count for (_, right), count in self.known.items() if right)
        scores: dict[str, Any] = {
            "accuracy": _share(correct, total),
            "accuracy_known": self._accuracy(True),
            "accuracy_unknown": self._accuracy(False),
            "accuracy_sentences": _share(self.whole, self.sentences),
            "words": total,
            "unknown_words": self.known[False, True] + self.known[False, False],
            "sentences": self.sentences,
        }
        if self.spans:
            counts = self.right.total(), self.found.total(), self.wanted.total()
            scores = {**_prf(*counts), **scores, "spans": counts[2]}
            kinds = sorted(self.wanted.keys() | self.found.keys())
            scores["by_span"] = [
                {
                    "span": kind,
                    "count": self.wanted[kind],
                    **_prf(self.right[kind], self.found[kind], self.wanted[kind]),
                }
                for kind in kinds
            ]
        return {**scores, "by_label": self._by_label(), "confusions": self._confusions()}

    def _accuracy(self, known: bool) -> float | None:
        return _share(self.known[known, True], self.known[known, True] + self.known[known, False])

    def _by_label(self) -> list[dict[str, Any]]:
        wanted, found = Counter[str](), Counter[str]()
        for (one, other), count in self.pairs.items():
            wanted[one] += count
            found[other] += count
        order = sorted(wanted.keys() | found.keys(), key=lambda label: (-wanted[label], label))
        return [
            {"label": label, "count": wanted[label], **_prf(self.pairs[label, label], found[label], wanted[label])}
            for label in order
        ]

    def _confusions(self) -> list[dict[str, Any]]:
        wrong = [(pair, count) for pair, count in self.pairs.items() if pair[0] != pair[1]]
        wrong.sort(key=lambda item: (-item[1], item[0]))
        return [
            {"label": pair[0], "predicted": pair[1], "count": count, **self.examples[pair]} for pair, count in wrong
        ]


def _prf(right: int, found: int, wanted: int) -> dict[str, float]:
    """Precision, recall and F1; 0 where there is nothing to divide by, as seqeval."""
    precision, recall = _share(right, found) or 0.0, _share(right, wanted) or 0.0
    return {"precision": precision, "recall": recall, "f1": _share(2 * right, found + wanted) or 0.0}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _example(words: Sequence[str], number: int, place: str) -> dict[str, Any]:
    before, after = words[max(0, number - _CONTEXT) : number], words[number + 1 : number + 1 + _CONTEXT]
    return {"word": words[number], "before": list(before), "after": list(after), "place": place}
