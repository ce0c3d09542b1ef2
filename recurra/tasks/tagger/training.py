"""A tagger as the training loop sees it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from recurra.data.token_batches import TokenBatches
from recurra.tasks.tagger.batch import Batch, Forms, make_batch
from recurra.tasks.tagger.corpus import Coded, TaggedCorpus
from recurra.tasks.tagger.decode import losses
from recurra.tasks.tagger.model import Tagger
from recurra.tasks.tagger.options import BatchOptions
from recurra.tasks.tagger.predict import evaluating, loss_of, predict
from recurra.tasks.tagger.scores import Tally
from recurra.tasks.tagger.spelling import spellings
from recurra.tasks.tagger.windows import WINDOW_WORDS
from recurra.training import Loss

_TRIAL = 50


class Training:
    """Batches of sentences, their loss, and validation: a `recurra.training.Trainable`.

    Args:
        model: its network on the device it trains on.
        train: what to learn from.
        valid: what is held out.
        options: batches and word dropout.
        seed: decides the order of the batches.
        rank: of this process.
        world_size: how many processes train together.
    """

    unit = "word"

    def __init__(
        self,
        model: Tagger,
        train: TaggedCorpus,
        valid: TaggedCorpus,
        options: BatchOptions,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.network, self._model, self._train, self._valid, self._options = model.network, model, train, valid, options
        self._forms, self._valid_forms = model.forms(train.forms), model.forms(valid.forms)
        self._hidden = torch.from_numpy(hidden_shares(train, self._forms, options.word_dropout))
        self.updates = TokenBatches(
            train.lengths,
            self._batch,
            tokens=options.batch_tokens,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )

    def _batch(self, numbers: npt.NDArray[np.int64]) -> Batch:
        sentences = [self._train.sentence(number) for number in numbers.tolist()]
        return make_batch(sentences, self._forms, features=self._train.features)

    def loss(self, network: nn.Module, batch: Batch, state: Any) -> Loss:
        """The sum over labels of the cross-entropy, or of -log p of the path, of a batch."""
        shares = self._hidden[batch.words]  # (T, B)
        words = batch.words.masked_fill(torch.rand(shares.shape) < shares, 0)
        batch = batch.with_words(words).to(self.network.device)
        scores = network(batch).scores
        told = losses(self.network, scores, batch, label_smoothing=self._options.label_smoothing)
        return Loss(torch.stack(told).sum(), batch.count)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Loss and scores on what is held out; the first label's F1, or accuracy, decides which model is the best."""
        return corpus_scores(self._model, self._valid, self._valid_forms)

    def describe(self, loss: float) -> dict[str, float]:
        """Nothing beside the loss itself: there is no unit that people quote it in."""
        return {}

    def rebuild_state(self, state: Any) -> Any:
        """Sentences carry no state."""
        return state


def hidden_shares(train: TaggedCorpus, forms: Forms, alpha: float) -> npt.NDArray[np.float32]:
    """α / (α + n) of each word number that occurs n times (Kiperwasser & Goldberg 2016), 0 of the unknown word."""
    counts = np.bincount(forms.words, weights=train.form_counts())
    shares = np.divide(alpha, alpha + counts, out=np.zeros_like(counts), where=counts > 0)
    shares[0] = 0.0
    told: npt.NDArray[np.float32] = shares.astype(np.float32)
    return told


def corpus_scores(model: Tagger, corpus: TaggedCorpus, forms: Forms) -> dict[str, float]:
    """Loss in nats per word and the scores of each label: accuracy, and F1 where it marks spans.

    Those of the first label have plain names, such as accuracy; those of others begin with the label's, such as
    xpos_accuracy. `error` is what the best model has least of: 1 - F1, or 1 - accuracy.
    """
    tallies = [Tally(model.scheme is not None) for _ in model.layout.names]
    total, words = 0.0, 0
    known = [model.vocabulary.knows(form) for form in corpus.forms]
    unseen = "\0"  # no label is called that
    with evaluating(model.network):
        spelling = spellings(model.network, forms)
        for sentences in _windows(corpus):
            told = loss_of(model.network, sentences, forms, features=corpus.features, spelling=spelling)
            total, words = total + sum(told.totals), words + told.words
            found = predict(model.network, sentences, forms, features=corpus.features, spelling=spelling)
            for (row, _), predicted in zip(sentences, found, strict=True):
                numbers = row[:, 0].tolist()
                for place, tally in enumerate(tallies):
                    values = model.vocabulary.labels[place]
                    gold = [values[label] if label >= 0 else unseen for label in row[:, 1 + corpus.features + place]]
                    named = [values[label] for label in predicted.labels[place]]
                    tally.add(gold, named, [known[number] for number in numbers], numbers, "")
    return summary(model, [tally.result() for tally in tallies], total / max(1, words))


def summary(model: Tagger, results: list[dict[str, Any]], loss: float) -> dict[str, float]:
    """The numbers of an evaluation that a bundle keeps."""
    scores = {"loss": loss}
    for place, (name, result) in enumerate(zip(model.layout.names, results, strict=True)):
        before = f"{name}_" if place else ""
        wanted = ("f1", "precision", "recall", "accuracy", "accuracy_unknown", "accuracy_sentences")
        scores |= {before + key: result[key] for key in wanted if result.get(key) is not None}
    scores["error"] = 1.0 - results[0].get("f1", results[0]["accuracy"])
    return scores


def trial_seconds(model: Tagger, corpus: TaggedCorpus, forms: Forms) -> float:
    """How long `corpus_scores` will take, by its first sentences."""
    sentences = [corpus.sentence(number) for number in range(min(_TRIAL, len(corpus)))]
    with evaluating(model.network):
        for _ in range(2):  # the first also compiles
            started = time.perf_counter()
            predict(model.network, sentences, forms, features=corpus.features)
            loss_of(model.network, sentences, forms, features=corpus.features)
            seconds = time.perf_counter() - started
    return seconds * corpus.words / max(1, sum(len(one.rows) for one in sentences))


def _windows(corpus: TaggedCorpus) -> Iterator[list[Coded]]:
    """The corpus in lists of sentences of about as many words as are tagged together."""
    starts = np.searchsorted(corpus.starts, np.arange(0, corpus.words, WINDOW_WORDS))
    for first, last in zip(starts, [*starts[1:], len(corpus)], strict=True):
        if first < last:
            yield [corpus.sentence(number) for number in range(first, last)]
