"""The objective of a tagger: batches of sentences, their loss, and scores on the validation data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from recurra.data.batching import TokenBatches
from recurra.data.label_numbers import UNSEEN, counted
from recurra.tasks.implementation import Objective
from recurra.tasks.tagger.batch import Forms, SentenceBatch, make_batch
from recurra.tasks.tagger.corpus import TaggedCorpus
from recurra.tasks.tagger.data import TaggedData
from recurra.tasks.tagger.decoder import losses, without_unseen
from recurra.tasks.tagger.model import Tagger
from recurra.tasks.tagger.network import TaggerNetwork
from recurra.tasks.tagger.options import BatchOptions
from recurra.tasks.tagger.predict import evaluating, loss_of, predict
from recurra.tasks.tagger.report import corpus_scores
from recurra.training import Loss

# Sentences whose scoring is timed, to estimate the time for all.
_TIMED_SENTENCES = 50


class TaggerObjective(Objective):
    """Learns labels from sentences.

    Args:
        model: its network on the device of the training.
        data: training and validation data.
        options: by group; this class reads `batches`.
    """

    token_name = "word"

    def __init__(self, model: Tagger, data: TaggedData, options: Mapping[str, Any]) -> None:
        self.network: TaggerNetwork = model.network
        self._options: BatchOptions = options["batches"]
        self._codec, self._train, self._valid = model.codec, data.train, data.valid
        self._forms, self._valid_forms = Forms(data.train.forms, model.codec), Forms(data.valid.forms, model.codec)
        self._hidden = torch.from_numpy(hidden_shares(self._train, self._forms, self._options.word_dropout))
        self._sentences = sentences_with_loss(self._train, random_fields=self.network.decoders is not None)

    def batches(self, *, seed: int, rank: int = 0, world_size: int = 1) -> TokenBatches[SentenceBatch]:
        """Returns batches of sentences of similar lengths, in random order."""
        return TokenBatches(
            self._train.lengths[self._sentences],
            self.make_batch,
            tokens=self._options.batch_tokens,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )

    def make_batch(self, numbers: npt.NDArray[np.int64]) -> SentenceBatch:
        """Returns the batch of the sentences with these numbers, counted among those with a loss."""
        sentences = [self._train.sentence(number) for number in self._sentences[numbers].tolist()]
        return without_unseen(self.network, make_batch(sentences, self._forms, features=self._train.features))

    def loss(self, network: nn.Module, batch: SentenceBatch, state: Any) -> Loss:
        """Returns the sum over labels of the cross-entropy, or of -log p of the path, of a batch.

        All labels of all words have the same weight; the count is that of the words with at least one.
        """
        count = batch.count
        shares = self._hidden[batch.words]  # (T, B)
        words = batch.words.masked_fill(torch.rand(shares.shape) < shares, 0)
        batch = batch.with_words(words).to(self.network.device)
        scores = network(batch).scores
        of_labels = losses(self.network, scores, batch, label_smoothing=self._options.label_smoothing)
        return Loss(torch.stack([of_label.total for of_label in of_labels]).sum(), count)

    def score(self, *, final: bool) -> dict[str, float]:
        """Returns the scores on the validation data; `error`, of the first label, determines the best model."""
        return corpus_scores(self.network, self._codec, self._valid, self._valid_forms)

    def score_part(self) -> float:
        """Predicts the first sentences of the validation data with their loss; returns their share of the words."""
        corpus = self._valid
        sentences = [corpus.sentence(number) for number in range(min(_TIMED_SENTENCES, len(corpus)))]
        with evaluating(self.network):
            predict(self.network, sentences, self._valid_forms, features=corpus.features)
            loss_of(self.network, sentences, self._valid_forms, features=corpus.features)
        return max(1, sum(len(sentence.rows) for sentence in sentences)) / max(1, corpus.words)


def sentences_with_loss(train: TaggedCorpus, *, random_fields: bool) -> npt.NDArray[np.int64]:
    """Returns the numbers of the sentences with a word that counts in the loss.

    Args:
        train: the corpus.
        random_fields: whether random fields predict the labels; for them an unseen label excludes its sentence.
    """
    labels, starts = train.labels, train.rows.starts
    usable = np.logical_or.reduceat(counted(labels), starts)  # (S, L)
    if random_fields:
        usable &= ~np.logical_or.reduceat(labels == UNSEEN, starts)
    return np.flatnonzero(usable.any(1))


def hidden_shares(train: TaggedCorpus, forms: Forms, alpha: float) -> npt.NDArray[np.float32]:
    """Returns the share of the occurrences of each word that is read as unknown, by the number of the word.

    It is α / (α + n) for n occurrences (Kiperwasser & Goldberg 2016), and 0 for the unknown word. Frequent words are
    rarely hidden, so that the embedding of unknown words resembles that of rare ones.
    """
    occurrences = np.bincount(forms.words, weights=train.form_counts())
    shares = np.divide(alpha, alpha + occurrences, out=np.zeros_like(occurrences), where=occurrences > 0)
    shares[0] = 0.0
    rounded: npt.NDArray[np.float32] = shares.astype(np.float32)
    return rounded
