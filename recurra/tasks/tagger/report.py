"""Scores of a tagger: on files for `recurra evaluate`, with their text for a terminal, and on encoded sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from recurra.data.batching import token_chunks
from recurra.data.label_numbers import MISSING, OPEN
from recurra.data.partial_spans import CODED, CODED_LETTERS, unsure_words
from recurra.data.sentences import Sentence
from recurra.errors import InputError
from recurra.metrics import LabelScores, label_report
from recurra.tasks.tagger.batch import Forms
from recurra.tasks.tagger.corpus import CHUNK_WORDS, Codec, TaggedCorpus
from recurra.tasks.tagger.decoder import Losses
from recurra.tasks.tagger.formats import LabelledFiles
from recurra.tasks.tagger.network import TaggerNetwork
from recurra.tasks.tagger.predict import evaluating, loss_of, predict, spellings

# Scores of the first label that are repeated above those of all labels, for scripts.
_FIRST = ("f1", "precision", "recall", "accuracy", "accuracy_known", "accuracy_unknown", "accuracy_sentences")
# Scores of each label during training.
_SHORT = ("f1", "precision", "recall", "accuracy", "accuracy_unknown", "accuracy_sentences")
# The name of all labels that are not in the training data; no label of a file has this name.
_UNSEEN_LABEL = "\0"


def evaluate(network: TaggerNetwork, codec: Codec, files: LabelledFiles) -> dict[str, Any]:
    """Computes all scores of a tagger on labelled files, which are read once and not kept in memory.

    Args:
        network: the network.
        codec: its vocabulary.
        files: the files.

    Returns:
        `loss` in nats per word, summed over the labels, `words`, `sentences`, the scores of the first label as
        fractions (`accuracy`, for spans `f1`, …), and under `labels` all scores of each label: also its `loss`,
        `by_label`, `by_span` and `confusions`. Each is of the words that have the label; `missing` counts those that do
        not, `unseen` those whose label is not in the training data, which the loss ignores and the scores count as
        errors. A loss or score of no word is None.

    Raises:
        InputError: a line cannot be read, with file and line; no sentence, or no word with a label.
    """
    totals = _Totals(codec)
    with evaluating(network):
        for chunk in token_chunks(_placed(files), CHUNK_WORDS, length=lambda placed: len(placed.sentence.words)):
            totals.add(network, chunk)
    totals.check(files)
    return totals.result()


def report(scores: dict[str, Any]) -> str:
    """Formats the result of `evaluate`: a summary, and a table and the most frequent confusions of each label."""
    loss = "no loss" if scores["loss"] is None else f"{scores['loss']:.4f} nats per word"
    lines = [f"{scores['words']:,} words in {scores['sentences']:,} sentences, {loss}"]
    for name, result in scores["labels"].items():
        lines += ["", *label_report(name, result)]
    return "\n".join(lines)


class _Placed(NamedTuple):
    """A sentence, with its file and line for the examples of confusions."""

    sentence: Sentence
    place: str


def _placed(files: LabelledFiles) -> Iterator[_Placed]:
    for path in files.paths:
        for sentence in LabelledFiles([path], files.layout, files.scheme, files.repair):
            yield _Placed(sentence, f"{path.name}:{sentence.line_of(0)}")


class _Totals:
    """Losses and scores, summed over chunks of sentences."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._scores = [LabelScores(codec.scheme) for _ in codec.layout.names]
        self._unseen = [0] * len(self._scores)
        self._loss, self._words, self._sentences = Losses.none(len(self._scores)), 0, 0

    def add(self, network: TaggerNetwork, chunk: list[_Placed]) -> None:
        """Predicts and scores some sentences."""
        codec, features = self._codec, len(self._codec.layout.features)
        sentences = [placed.sentence for placed in chunk]
        words, encoded = codec.encode(sentences)
        forms = Forms(words, codec)
        labelled = [codec.labelled(sentence, one) for sentence, one in zip(sentences, encoded, strict=True)]
        spelling = spellings(network, forms)
        self._loss = self._loss.add(loss_of(network, labelled, forms, features=features, spelling=spelling))
        predictions = predict(network, encoded, forms, features=features, spelling=spelling)
        for placed, prediction in zip(chunk, predictions, strict=True):
            self._add_sentence(placed, prediction.labels)

    def _add_sentence(self, placed: _Placed, predicted: list[list[int]]) -> None:
        codec, sentence = self._codec, placed.sentence
        self._words, self._sentences = self._words + len(sentence.words), self._sentences + 1
        known = [codec.vocabulary.knows(word) for word in sentence.words]
        for number, expected in enumerate(codec.layout.labels_of(sentence)):
            converter = codec.labels[number]
            names, unsure = converter.labels(predicted[number]), converter.unsure(expected)
            self._scores[number].add(expected, names, known, sentence.words, placed.place, unsure=unsure)
            self._unseen[number] += sum(value is not None and not converter.numbers_of(value) for value in expected)

    def check(self, files: LabelledFiles) -> None:
        """Checks that there was something to score."""
        if not self._words:
            raise InputError(f"{files.paths[0]}: no sentence to evaluate on, expected one word per line")
        if all(scores.missing == self._words for scores in self._scores):
            names = " or ".join(files.layout.names)
            raise InputError(
                f"{files.paths[0]}: none of its {self._words:,} words has a label of {names}, so there is nothing to "
                "score"
            )

    def result(self) -> dict[str, Any]:
        """Returns all scores."""
        results, names = {}, self._codec.layout.names
        for place, name in enumerate(names):
            total, words = self._loss.totals[place], self._loss.counts[place]
            result = self._scores[place].result()
            results[name] = {**result, "unseen": self._unseen[place], "loss": total / words if words else None}
        first = {name: results[names[0]][name] for name in _FIRST if name in results[names[0]]}
        loss = self._loss.per_word() if any(self._loss.counts) else None
        return {**first, "loss": loss, "words": self._words, "sentences": self._sentences, "labels": results}


def corpus_scores(network: TaggerNetwork, codec: Codec, corpus: TaggedCorpus, forms: Forms) -> dict[str, float]:
    """Computes loss in nats per word and the main scores of each label on encoded sentences.

    The scores of the first label have plain names, such as accuracy; the names of others begin with that of the label,
    such as xpos_accuracy. The best model minimises `error`, 1 - F1 or 1 - accuracy of the first label.
    """
    # Labels are compared in BIOES, as they are encoded. F1 is that of `evaluate`; accuracy can be lower, because BIOES
    # tells E from I.
    scores_by_label = [LabelScores(None if codec.scheme is None else CODED) for _ in codec.layout.names]
    loss = Losses.none(len(scores_by_label))
    known = [codec.vocabulary.knows(form) for form in corpus.forms]
    with evaluating(network):
        spelling = spellings(network, forms)
        for sentences in corpus.chunks():
            loss = loss.add(loss_of(network, sentences, forms, features=corpus.features, spelling=spelling))
            predictions = predict(network, sentences, forms, features=corpus.features, spelling=spelling)
            for (row, _), prediction in zip(sentences, predictions, strict=True):
                numbers = row[:, 0].tolist()
                for place, scores in enumerate(scores_by_label):
                    values = codec.vocabulary.labels[place]
                    labels = row[:, 1 + corpus.features + place].tolist()
                    expected = _expected(labels, prediction.labels[place], values, network.possible(place))
                    names = [values[label] for label in prediction.labels[place]]
                    unsure = unsure_words([_name(label, values) for label in labels])
                    scores.add(expected, names, [known[number] for number in numbers], numbers, "", unsure=unsure)
    return _summary(codec.layout.names, [scores.result() for scores in scores_by_label], loss.per_word())


def _name(label: int, values: list[str]) -> str | None:
    """The name of a label; for one of several, a label that `unsure_words` treats as unsure."""
    if label <= OPEN:
        return f"{CODED_LETTERS}-"
    return values[label] if label >= 0 else None if label == MISSING else _UNSEEN_LABEL


def _expected(labels: list[int], predicted: list[int], values: list[str], possible: Tensor) -> list[str | None]:
    """The names of the labels of a sentence; of several possible ones, the predicted one if it is among them."""
    names: list[str | None] = []
    for label, prediction in zip(labels, predicted, strict=True):
        if label <= OPEN:
            names.append(values[prediction] if possible[OPEN - label, prediction] else _UNSEEN_LABEL)
        else:
            names.append(_name(label, values))
    return names


def _summary(names: Sequence[str], results: list[dict[str, Any]], loss: float) -> dict[str, float]:
    """The scores that a bundle stores."""
    scores = {"loss": loss}
    for place, (name, result) in enumerate(zip(names, results, strict=True)):
        prefix = f"{name}_" if place else ""
        scores |= {prefix + key: result[key] for key in _SHORT if result.get(key) is not None}
    first = results[0].get("f1", results[0]["accuracy"])
    # Without a label to score, only the loss is left; `prepare` refuses such validation data.
    if first is not None:
        scores["error"] = 1.0 - first
    return scores
