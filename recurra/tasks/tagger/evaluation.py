"""How well a tagger does on files, read as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recurra.data.sentences import Sentence
from recurra.errors import InputError
from recurra.tasks.tagger.coder import Coder
from recurra.tasks.tagger.examples import Examples
from recurra.tasks.tagger.network import TaggerNetwork
from recurra.tasks.tagger.predict import evaluating, loss_of, predict
from recurra.tasks.tagger.scores import Tally
from recurra.tasks.tagger.spelling import spellings
from recurra.tasks.tagger.windows import windows

# Scores of the first label that stand beside those of all labels, where a script finds them.
_FIRST = ("f1", "precision", "recall", "accuracy", "accuracy_known", "accuracy_unknown", "accuracy_sentences")


def evaluate(network: TaggerNetwork, coder: Coder, examples: Examples) -> dict[str, Any]:
    """Every score of a tagger on files with labels.

    Args:
        network: the network.
        coder: what its numbers mean.
        examples: the files, read once from end to end, not held.

    Returns:
        `loss` in nats per word, `words`, `sentences`, the scores of the first label as fractions (`accuracy`, for
        spans `f1`, …), and under `labels` all of each label: also `by_label`, `by_span` and `confusions`.

    Raises:
        InputError: what cannot be read, with file and line.
    """
    tallies = [Tally(coder.scheme is not None) for _ in coder.layout.names]
    total, words = 0.0, 0
    with evaluating(network):
        for held in windows(_placed(examples)):
            nats, count = _add(network, coder, held, tallies)
            total, words = total + nats, words + count
    if not words:
        raise InputError(f"{examples.paths[0]}: no sentence to evaluate on, expected a word a line")
    results = dict(zip(coder.layout.names, (tally.result() for tally in tallies), strict=True))
    first = results[coder.layout.names[0]]
    told = {name: first[name] for name in _FIRST if name in first}
    return {**told, "loss": total / words, "words": words, "sentences": first["sentences"], "labels": results}


class _Placed:
    """A sentence and where it is."""

    def __init__(self, sentence: Sentence, place: str) -> None:
        self.sentence, self.words, self.place = sentence, sentence.words, place


def _placed(examples: Examples) -> Iterator[_Placed]:
    for path in examples.paths:
        one = Examples([path], examples.layout, examples.scheme, examples.repair)
        for sentence in one:
            yield _Placed(sentence, f"{path.name}:{sentence.line_of(0)}")


def _add(network: TaggerNetwork, coder: Coder, held: list[_Placed], tallies: list[Tally]) -> tuple[float, int]:
    """Count some sentences; their loss in nats and how many words they have."""
    sentences, features = [one.sentence for one in held], len(coder.layout.features)
    words, coded = coder.encode(sentences)
    forms = coder.forms(words)
    labelled = [coder.labelled(sentence, one) for sentence, one in zip(sentences, coded, strict=True)]
    spelling = spellings(network, forms)
    told = loss_of(network, labelled, forms, features=features, spelling=spelling)
    found = predict(network, coded, forms, features=features, spelling=spelling)
    for one, predicted in zip(held, found, strict=True):
        known = [coder.vocabulary.knows(word) for word in one.words]
        for number, (tally, gold) in enumerate(zip(tallies, coder.layout.labels_in(one.sentence), strict=True)):
            tally.add(gold, coder.named(number, predicted.labels[number]), known, one.words, one.place)
    return sum(told.totals), told.words
