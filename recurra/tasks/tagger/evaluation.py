"""How well a tagger does on files, read as a stream."""

from __future__ import annotations

from typing import Any

import numpy as np

from recurra.data.sentences import Sentence
from recurra.data.spans import convert
from recurra.errors import InputError
from recurra.tasks.tagger.corpus import UNSEEN
from recurra.tasks.tagger.examples import CODED, Examples
from recurra.tasks.tagger.model import Tagger
from recurra.tasks.tagger.predict import evaluating, loss_of, predict
from recurra.tasks.tagger.scores import Tally
from recurra.tasks.tagger.spelling import spellings
from recurra.tasks.tagger.windows import windows

# Scores of the first label that stand beside those of all labels, where a script finds them.
_FIRST = ("f1", "precision", "recall", "accuracy", "accuracy_known", "accuracy_unknown", "accuracy_sentences")


def evaluate(model: Tagger, examples: Examples) -> dict[str, Any]:
    """Every score of a tagger on files with labels.

    Args:
        model: the tagger.
        examples: the files, read once from end to end, not held.

    Returns:
        `loss` in nats per word, `words`, `sentences`, the scores of the first label as fractions (`accuracy`, for
        spans `f1`, …), and under `labels` all of each label: also `by_label`, `by_span` and `confusions`.

    Raises:
        InputError: what cannot be read, with file and line.
    """
    tallies = [Tally(model.scheme is not None) for _ in model.layout.names]
    total, words = 0.0, 0
    with evaluating(model.network):
        for sentences in windows(_placed(examples)):
            nats, count = _add(model, [one.sentence for one in sentences], [one.place for one in sentences], tallies)
            total, words = total + nats, words + count
    if not words:
        raise InputError(f"{examples.paths[0]}: no sentence to evaluate on, expected a word a line")
    results = dict(zip(model.layout.names, (tally.result() for tally in tallies), strict=True))
    first = results[model.layout.names[0]]
    told = {name: first[name] for name in _FIRST if name in first}
    return {**told, "loss": total / words, "words": words, "sentences": first["sentences"], "labels": results}


class _Placed:
    """A sentence and where it is."""

    def __init__(self, sentence: Sentence, place: str) -> None:
        self.sentence, self.words, self.place = sentence, sentence.words, place


def _placed(examples: Examples) -> Any:
    for path in examples.paths:
        one = Examples([path], examples.layout, examples.scheme, examples.repair)
        for sentence in one:
            yield _Placed(sentence, f"{path.name}:{sentence.line_of(0)}")


def _add(model: Tagger, sentences: list[Sentence], places: list[str], tallies: list[Tally]) -> tuple[float, int]:
    """Count some sentences; their loss in nats and how many words they have."""
    forms, coded = model.encode(sentences)
    looked_up = model.forms(forms)
    features = len(model.layout.features)
    labelled = [
        one._replace(rows=np.concatenate([one.rows, _numbers(model, sentence)], axis=1))
        for one, sentence in zip(coded, sentences, strict=True)
    ]
    spelling = spellings(model.network, looked_up)
    told = loss_of(model.network, labelled, looked_up, features=features, spelling=spelling)
    found = predict(model.network, coded, looked_up, features=features, spelling=spelling)
    for sentence, predicted, place in zip(sentences, found, places, strict=True):
        known = [model.vocabulary.knows(word) for word in sentence.words]
        for number, (tally, gold) in enumerate(zip(tallies, model.layout.labels_in(sentence), strict=True)):
            tally.add(gold, model.named(number, predicted.labels[number]), known, sentence.words, place)
    return sum(told.totals), told.words


def _numbers(model: Tagger, sentence: Sentence) -> Any:
    """The labels of a sentence by number, (T, L) int32, as the network codes them."""
    columns = []
    for known, values in zip(model.vocabulary.label_ids, model.layout.labels_in(sentence), strict=True):
        coded = values if model.scheme is None else convert(values, CODED)
        columns.append([known.get(value, UNSEEN) for value in coded])
    return np.array(columns, dtype=np.int32).T
