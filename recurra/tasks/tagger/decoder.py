"""Scores of labels to the best labels, their probabilities and their loss, by a softmax or a random field per label."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.data.label_numbers import MISSING, OPEN, UNSEEN, counted
from recurra.layers import ConditionalRandomField
from recurra.tasks.tagger.batch import SentenceBatch
from recurra.tasks.tagger.network import TaggerNetwork


class Decoded(NamedTuple):
    """One label of a batch."""

    labels: Tensor
    """int64 (T, B)."""
    probabilities: Tensor | None
    """(T, B, K), of all values of each word; None if they were not requested."""


def decode(
    network: TaggerNetwork, scores: list[Tensor], batch: SentenceBatch, *, probabilities: bool = False
) -> list[Decoded]:
    """Returns the best values of each label.

    Args:
        network: the network that computed the scores.
        scores: (T, B, K) of each label.
        batch: the batch of the scores.
        probabilities: also return those of all values: softmax, or the marginals of the random field.
    """
    results = []
    for place, of_label in enumerate(scores):
        field = network.field(place)
        if field is None:
            shares = of_label.softmax(-1) if probabilities else None
            results.append(Decoded(of_label.argmax(-1), shares))
        else:
            shares = field.marginals(of_label, batch.lengths) if probabilities else None
            results.append(Decoded(field.best_path(of_label, batch.lengths).labels, shares))
    return results


class LabelLoss(NamedTuple):
    """The loss of one label."""

    total: Tensor
    """A scalar in nats, summed over the words that count."""
    words: Tensor
    """int64 scalar, the number of these words."""


def losses(
    network: TaggerNetwork, scores: list[Tensor], batch: SentenceBatch, *, label_smoothing: float = 0.0
) -> list[LabelLoss]:
    """Computes the loss of each label over the words that have one, if the training data has it too.

    A random field sums over the other words of a sentence: its loss is -log Σ p(path) over all paths through the labels
    that are there. It leaves out a sentence with a label that is not in the training data.

    Args:
        network: the network that computed the scores.
        scores: (T, B, K) of each label.
        batch: with labels.
        label_smoothing: as in torch; only for a softmax.
    """
    results = []
    for place, (of_label, labels) in enumerate(zip(scores, batch.labels, strict=True)):
        field, possible = network.field(place), network.possible(place)
        if field is None:
            results.append(_softmax_loss(of_label, labels, possible, label_smoothing))
        else:
            results.append(_field_loss(field, of_label, labels, batch.lengths, possible))
    return results


def without_unseen(network: TaggerNetwork, batch: SentenceBatch) -> SentenceBatch:
    """Removes the labels that `losses` leaves out of random fields, so that `batch.count` is the number that it sums.

    A single unseen label removes those of its whole sentence.
    """
    if network.decoders is None:
        return batch
    unseen = (batch.labels == UNSEEN).any(1, keepdim=True)  # (L, 1, B)
    return batch.with_labels(batch.labels.masked_fill(unseen, MISSING)) if bool(unseen.any()) else batch


def nats_of_words(scores: Tensor, labels: Tensor, possible: Tensor) -> Tensor:
    """Computes the loss of each word by a softmax, in nats, (T, B); 0 for words that do not count.

    Args:
        scores: (T, B, K).
        labels: int64 (T, B).
        possible: bool (N, K), the possibilities of ambiguous labels.
    """
    known = torch.where(labels >= 0, labels, UNSEEN)
    nats = F.cross_entropy(scores.transpose(1, 2), known, reduction="none", ignore_index=UNSEEN)  # (T, K, B) to (T, B)
    several = labels <= OPEN
    if len(possible) and bool(several.any()):
        nats = nats.masked_scatter(several, _nats_of_several(scores[several], labels[several], possible))
    return nats


def _softmax_loss(scores: Tensor, labels: Tensor, possible: Tensor, label_smoothing: float) -> LabelLoss:
    known = torch.where(labels >= 0, labels, UNSEEN)
    flat = scores.flatten(0, 1), known.flatten()  # (T·B, K), (T·B,)
    total = F.cross_entropy(*flat, reduction="sum", ignore_index=UNSEEN, label_smoothing=label_smoothing)
    several = labels <= OPEN
    if len(possible) and bool(several.any()):
        total = total + _nats_of_several(scores[several], labels[several], possible).sum()
    return LabelLoss(total, counted(labels).sum())


def _nats_of_several(scores: Tensor, labels: Tensor, possible: Tensor) -> Tensor:
    """-log of the summed probability of the possible labels of each of n words, (n,), from scores (n, K)."""
    shares = scores.log_softmax(-1).masked_fill(~possible[OPEN - labels], -torch.inf)
    return -shares.logsumexp(-1)


def _field_loss(
    field: ConditionalRandomField, scores: Tensor, labels: Tensor, lengths: Tensor, possible: Tensor
) -> LabelLoss:
    # No path has a label that is not in the training data: its sentence is left out.
    usable = counted(labels).any(0) & ~(labels == UNSEEN).any(0)  # (B,)
    complete = (labels >= 0).sum(0) == lengths
    # Complete sentences need the score of one path, partial ones a second sum over all paths, which costs more.
    rows = complete.nonzero()[:, 0]
    total = -field.log_probability(scores[:, rows], labels[:, rows].clamp(min=0), lengths[rows]).sum()
    count = lengths[rows].sum()
    partial = (usable & ~complete).nonzero()[:, 0]
    if len(partial):
        allowed = _allowed(labels[:, partial], possible)  # (T, b, K)
        shares = field.partial_log_probability(scores[:, partial], allowed, lengths[partial])
        # No path is left if the words between need a label that is not in the training data.
        reachable = shares > -torch.inf
        total = total - shares[reachable].sum()
        count = count + counted(labels[:, partial])[:, reachable].sum()
    return LabelLoss(total, count)


def _allowed(labels: Tensor, possible: Tensor) -> Tensor:
    """The values that each word may have, bool (T, B, K): its own, one of several, or any if it has no label."""
    K = possible.shape[1]
    single = F.one_hot(labels.clamp(min=0), K).bool()
    allowed = torch.where((labels >= 0)[:, :, None], single, torch.ones_like(single))
    several = labels <= OPEN
    allowed[several] = possible[OPEN - labels[several]]
    return allowed


class Losses(NamedTuple):
    """The loss of some sentences, of each label."""

    totals: list[float]
    """In nats."""
    counts: list[int]
    """The number of words that each sums over."""

    def add(self, other: Losses) -> Losses:
        """Returns the loss of the sentences of both."""
        totals = [one + more for one, more in zip(self.totals, other.totals, strict=True)]
        return Losses(totals, [one + more for one, more in zip(self.counts, other.counts, strict=True)])

    def per_word(self) -> float:
        """Returns the nats per word, summed over the labels, each per word that counts for it."""
        if len(set(self.counts)) == 1:
            return sum(self.totals) / max(1, self.counts[0])
        return sum(total / count for total, count in zip(self.totals, self.counts, strict=True) if count)

    @classmethod
    def none(cls, labels: int) -> Losses:
        """Returns the loss of no sentence."""
        return cls([0.0] * labels, [0] * labels)
