"""What a tagger learns: batches of sentences, their loss, and scores on the validation sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from recurra.data.batching import TokenBatches
from recurra.data.partial_spans import CODED, CODED_LETTERS, unsure_words
from recurra.metrics import LabelScores
from recurra.tasks.implementation import Objective
from recurra.tasks.tagger.batch import Batch, Forms, make_batch
from recurra.tasks.tagger.char_cache import spellings
from recurra.tasks.tagger.corpus import Coded, TaggedCorpus
from recurra.tasks.tagger.decode import losses, without_unseen
from recurra.tasks.tagger.label_numbers import MISSING, OPEN, UNSEEN
from recurra.tasks.tagger.model import Tagger
from recurra.tasks.tagger.network import TaggerNetwork
from recurra.tasks.tagger.options import BatchOptions
from recurra.tasks.tagger.predict import Losses, evaluating, loss_of, predict
from recurra.tasks.tagger.prepared import Prepared
from recurra.tasks.tagger.windows import WINDOW_WORDS
from recurra.training import Loss

# Sentences whose scoring measures the time of all.
_TRIAL = 50
# The name of all labels that are not in the training data; no label is called that.
_UNKNOWN = "\0"


class TaggerObjective(Objective):
    """Batches of sentences, their loss, and scores on the validation sentences.

    Args:
        model: its network on the device it trains on.
        train: what to learn from.
        valid: the held-out part.
        options: batches and word dropout.
    """

    token_name = "word"

    def __init__(self, model: Tagger, train: TaggedCorpus, valid: TaggedCorpus, options: BatchOptions) -> None:
        self.network: TaggerNetwork = model.network
        self._model, self._train, self._valid, self._options = model, train, valid, options
        self._forms, self._valid_forms = model.forms(train.forms), model.forms(valid.forms)
        self._hidden = torch.from_numpy(hidden_shares(train, self._forms, options.word_dropout))
        self._sentences = worth_learning(train, together=self.network.decoders is not None)

    @classmethod
    def of(cls, model: Tagger, data: Prepared, options: Mapping[str, Any]) -> TaggerObjective:
        """The objective of a model on encoded sentences."""
        return cls(model, data.train, data.valid, options["batches"])

    def batches(self, *, seed: int, rank: int = 0, world_size: int = 1) -> TokenBatches[Batch]:
        """Batches of sentences of similar lengths, in random order."""
        return TokenBatches(
            self._train.lengths[self._sentences],
            self.make_batch,
            tokens=self._options.batch_tokens,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )

    def make_batch(self, numbers: npt.NDArray[np.int64]) -> Batch:
        """Returns the batch of the sentences with these numbers among those to learn from."""
        sentences = [self._train.sentence(number) for number in self._sentences[numbers].tolist()]
        return without_unseen(self.network, make_batch(sentences, self._forms, features=self._train.features))

    def loss(self, network: nn.Module, batch: Batch, state: Any) -> Loss:
        """The sum over labels of the cross-entropy, or of -log p of the path, of a batch.

        All labels of all words weigh alike; the count is that of the words with at least one.
        """
        count = batch.count
        shares = self._hidden[batch.words]  # (T, B)
        words = batch.words.masked_fill(torch.rand(shares.shape) < shares, 0)
        batch = batch.with_words(words).to(self.network.device)
        scores = network(batch).scores
        of_labels = losses(self.network, scores, batch, label_smoothing=self._options.label_smoothing)
        return Loss(torch.stack([one.total for one in of_labels]).sum(), count)

    def score(self, *, final: bool) -> dict[str, float]:
        """Loss and scores on the held-out part; the first label's F1, or accuracy, decides which model is the best."""
        return corpus_scores(self._model, self._valid, self._valid_forms)

    def score_part(self) -> float:
        """Predicts the first sentences of the held-out part and computes their loss; returns their share of words."""
        corpus = self._valid
        sentences = [corpus.sentence(number) for number in range(min(_TRIAL, len(corpus)))]
        with evaluating(self.network):
            predict(self.network, sentences, self._valid_forms, features=corpus.features)
            loss_of(self.network, sentences, self._valid_forms, features=corpus.features)
        return max(1, sum(len(one.rows) for one in sentences)) / max(1, corpus.words)


def worth_learning(train: TaggedCorpus, *, together: bool) -> npt.NDArray[np.int64]:
    """The numbers of the sentences that have a loss: some word has a label of the training data.

    Args:
        train: the corpus.
        together: whether a random field chooses labels, of which one that is not known spoils its sentence.
    """
    labels, starts = train.labels, train.rows.starts
    known = np.logical_or.reduceat((labels >= 0) | (labels <= OPEN), starts)  # (S, L)
    if together:
        known &= ~np.logical_or.reduceat(labels == UNSEEN, starts)
    return np.flatnonzero(known.any(1))


def hidden_shares(train: TaggedCorpus, forms: Forms, alpha: float) -> npt.NDArray[np.float32]:
    """α / (α + n) of each word number that occurs n times (Kiperwasser & Goldberg 2016), 0 of the unknown word."""
    counts = np.bincount(forms.words, weights=train.form_counts())
    shares = np.divide(alpha, alpha + counts, out=np.zeros_like(counts), where=counts > 0)
    shares[0] = 0.0
    rounded: npt.NDArray[np.float32] = shares.astype(np.float32)
    return rounded


def corpus_scores(model: Tagger, corpus: TaggedCorpus, forms: Forms) -> dict[str, float]:
    """Loss in nats per word and the scores of each label: accuracy, and F1 where it marks spans.

    Those of the first label have plain names, such as accuracy; those of others begin with the label's, such as
    xpos_accuracy. `error` is what the best model has least of: 1 - F1, or 1 - accuracy.
    """
    scores_by_label = [LabelScores(None if model.scheme is None else CODED) for _ in model.layout.names]
    loss = Losses.none(len(scores_by_label))
    known = [model.vocabulary.knows(form) for form in corpus.forms]
    with evaluating(model.network):
        spelling = spellings(model.network, forms)
        for sentences in _windows(corpus):
            loss = loss.add(loss_of(model.network, sentences, forms, features=corpus.features, spelling=spelling))
            predictions = predict(model.network, sentences, forms, features=corpus.features, spelling=spelling)
            for (row, _), predicted in zip(sentences, predictions, strict=True):
                numbers = row[:, 0].tolist()
                for place, label_scores in enumerate(scores_by_label):
                    values = model.vocabulary.labels[place]
                    labels = row[:, 1 + corpus.features + place].tolist()
                    gold = _gold(labels, predicted.labels[place], values, model.network.possible(place))
                    named = [values[label] for label in predicted.labels[place]]
                    unsure = unsure_words([_coded(label, values) for label in labels])
                    label_scores.add(gold, named, [known[number] for number in numbers], numbers, "", unsure=unsure)
    return summary(model, [label_scores.result() for label_scores in scores_by_label], loss.per_word())


def _coded(label: int, values: list[str]) -> str | None:
    """A label by name; one that stands for several by the letters of all."""
    if label <= OPEN:
        return f"{CODED_LETTERS}-"
    return values[label] if label >= 0 else None if label == MISSING else _UNKNOWN


def _gold(labels: list[int], predicted: list[int], values: list[str], possible: Tensor) -> list[str | None]:
    """The labels of a sentence's words by name; of several that a word may have, the predicted one if it is among."""
    gold: list[str | None] = []
    for label, guess in zip(labels, predicted, strict=True):
        if label <= OPEN:
            gold.append(values[guess] if possible[OPEN - label, guess] else _UNKNOWN)
        else:
            gold.append(_coded(label, values))
    return gold


def summary(model: Tagger, results: list[dict[str, Any]], loss: float) -> dict[str, float]:
    """The numbers of an evaluation that a bundle keeps."""
    scores = {"loss": loss}
    for place, (name, result) in enumerate(zip(model.layout.names, results, strict=True)):
        before = f"{name}_" if place else ""
        names = ("f1", "precision", "recall", "accuracy", "accuracy_unknown", "accuracy_sentences")
        scores |= {before + key: result[key] for key in names if result.get(key) is not None}
    first = results[0].get("f1", results[0]["accuracy"])
    # Without a label to score the loss is all there is; training refuses such validation data.
    if first is not None:
        scores["error"] = 1.0 - first
    return scores


def _windows(corpus: TaggedCorpus) -> Iterator[list[Coded]]:
    """The corpus in lists of sentences of about as many words as are tagged together."""
    starts = np.searchsorted(corpus.rows.starts, np.arange(0, corpus.words, WINDOW_WORDS))
    for first, last in zip(starts, [*starts[1:], len(corpus)], strict=True):
        if first < last:
            yield [corpus.sentence(number) for number in range(first, last)]
