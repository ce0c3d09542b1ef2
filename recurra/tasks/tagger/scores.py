"""How good a tagger is and on what it errs: accuracies, spans, a table by label, confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from recurra.data.spans import OUTSIDE, Span, spans_of

# Words on either side of a confused one that its example shows.
_CONTEXT = 4


@dataclass
class LabelScores:
    """The scores of one label, sentence by sentence.

    Args:
        scheme: how labels mark spans, of `recurra.data.spans.SCHEMES`; None where they mark none.
    """

    scheme: str | None
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    known: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    """(the word is known, the label is right) to how often."""
    sentences: int = 0
    """With a label; then those of which every label is right."""
    whole: int = 0
    missing: int = 0
    """Words without a label: they have no part in any score."""
    found: Counter[str] = field(default_factory=Counter)
    """Spans predicted by type; then those in the file, and those in both."""
    wanted: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)

    def add(
        self,
        gold: Sequence[str | None],
        predicted: Sequence[str],
        known: Sequence[bool],
        words: Sequence[Any],
        place: str,
        *,
        unsure: Collection[int] = (),
    ) -> None:
        """Count one sentence.

        Args:
            gold: the labels; None for words without one.
            predicted: what was predicted.
            known: whether training had each word.
            words: the words, for examples.
            place: where the sentence is, for examples.
            unsure: words whose part in a span is not known: spans that hold one are not scored.
        """
        labelled = [(one, other) for one, other in zip(gold, predicted, strict=True) if one is not None]
        self.missing += len(gold) - len(labelled)
        self.sentences += bool(labelled)
        self.whole += bool(labelled) and all(one == other for one, other in labelled)
        for number, (one, other) in enumerate(zip(gold, predicted, strict=True)):
            if one is None:
                continue
            self.pairs[one, other] += 1
            self.known[known[number], one == other] += 1
            if one != other and (one, other) not in self.examples:
                self.examples[one, other] = _example(words, number, place)
        if self.scheme is not None:
            complete = [OUTSIDE if one is None else one for one in gold]
            wanted, found = (_scored(spans_of(one, self.scheme), unsure) for one in (complete, predicted))
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
            "missing": self.missing,
            "unknown_words": self.known[False, True] + self.known[False, False],
            "sentences": self.sentences,
        }
        if self.scheme is not None:
            counts = self.right.total(), self.found.total(), self.wanted.total()
            summary = _prf(*counts) if total else dict.fromkeys(("precision", "recall", "f1"))
            scores = {**summary, **scores, "spans": counts[2]}
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


def _scored(spans: list[Span], unsure: Collection[int]) -> set[Span]:
    return {span for span in spans if not any(word in unsure for word in range(span.start, span.end))}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _example(words: Sequence[Any], number: int, place: str) -> dict[str, Any]:
    before, after = words[max(0, number - _CONTEXT) : number], words[number + 1 : number + 1 + _CONTEXT]
    return {"word": words[number], "before": list(before), "after": list(after), "place": place}
