"""How well a tagger does on files, read as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recurra.data.sentences import Sentence
from recurra.errors import InputError
from recurra.metrics import LabelScores
from recurra.tasks.tagger.char_cache import spellings
from recurra.tasks.tagger.codec import Codec
from recurra.tasks.tagger.examples import Examples
from recurra.tasks.tagger.network import TaggerNetwork
from recurra.tasks.tagger.predict import Losses, evaluating, loss_of, predict
from recurra.tasks.tagger.windows import windows

# Scores of the first label that are also reported next to those of all labels, for scripts.
_FIRST = ("f1", "precision", "recall", "accuracy", "accuracy_known", "accuracy_unknown", "accuracy_sentences")


def evaluate(network: TaggerNetwork, codec: Codec, examples: Examples) -> dict[str, Any]:
    """Every score of a tagger on files with labels.

    Args:
        network: the network.
        codec: what its numbers mean.
        examples: the files, read once from end to end, not kept in memory.

    Returns:
        `loss` in nats per word, summed over the labels, `words`, `sentences`, the scores of the first label as
        fractions (`accuracy`, for spans `f1`, …), and under `labels` all of each label: also its `loss`, `by_label`,
        `by_span` and `confusions`. Each is of the words that have the label; `missing` counts those that do not,
        `unseen` those whose label is not in the training data, which the loss ignores and the scores count as
        errors. A loss or score of no word is None.

    Raises:
        InputError: what cannot be read, with file and line; no sentence, or no word with a label.
    """
    scores_by_label = [LabelScores(codec.scheme) for _ in codec.layout.names]
    loss, words, sentences = Losses.none(len(scores_by_label)), 0, 0
    unseen = [0] * len(scores_by_label)
    with evaluating(network):
        for window in windows(_placed(examples)):
            loss = loss.add(_add(network, codec, window, scores_by_label, unseen))
            words, sentences = words + sum(len(one.words) for one in window), sentences + len(window)
    _check(codec, examples, scores_by_label, words)
    results = {}
    for place, name in enumerate(codec.layout.names):
        loss_of_label = loss.totals[place] / loss.counts[place] if loss.counts[place] else None
        results[name] = {**scores_by_label[place].result(), "unseen": unseen[place], "loss": loss_of_label}
    first = results[codec.layout.names[0]]
    summary = {name: first[name] for name in _FIRST if name in first}
    nats = loss.per_word() if any(loss.counts) else None
    return {**summary, "loss": nats, "words": words, "sentences": sentences, "labels": results}


def _check(codec: Codec, examples: Examples, scores_by_label: list[LabelScores], words: int) -> None:
    where, layout = examples.paths[0], codec.layout
    if not words:
        raise InputError(f"{where}: no sentence to evaluate on, expected a word a line")
    if all(label_scores.missing == words for label_scores in scores_by_label):
        raise InputError(
            f"{where}: none of its {words:,} words has a label of {' or '.join(layout.names)}, so there is nothing to "
            "score"
        )


class _Placed:
    """A sentence and where it is."""

    def __init__(self, sentence: Sentence, place: str) -> None:
        self.sentence, self.words, self.place = sentence, sentence.words, place


def _placed(examples: Examples) -> Iterator[_Placed]:
    for path in examples.paths:
        one = Examples([path], examples.layout, examples.scheme, examples.repair)
        for sentence in one:
            yield _Placed(sentence, f"{path.name}:{sentence.line_of(0)}")


def _add(
    network: TaggerNetwork, codec: Codec, window: list[_Placed], scores_by_label: list[LabelScores], unseen: list[int]
) -> Losses:
    """Counts sentences, and for each label the words whose label is not in the training data; returns the loss."""
    sentences, features = [one.sentence for one in window], len(codec.layout.features)
    words, coded = codec.encode(sentences)
    forms = codec.forms(words)
    labelled = [codec.labelled(sentence, one) for sentence, one in zip(sentences, coded, strict=True)]
    spelling = spellings(network, forms)
    loss = loss_of(network, labelled, forms, features=features, spelling=spelling)
    predictions = predict(network, coded, forms, features=features, spelling=spelling)
    for one, predicted in zip(window, predictions, strict=True):
        known = [codec.vocabulary.knows(word) for word in one.words]
        for number, (label_scores, gold) in enumerate(
            zip(scores_by_label, codec.layout.labels_in(one.sentence), strict=True)
        ):
            named = codec.named(number, predicted.labels[number])
            label_scores.add(gold, named, known, one.words, one.place, unsure=codec.unsure(gold))
            unseen[number] += sum(value is not None and not codec.numbers_of(number, value) for value in gold)
    return loss
