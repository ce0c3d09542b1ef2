"""From the network's scores to labels, their probabilities and their loss."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.layers import ConditionalRandomField
from recurra.tasks.tagger.batch import Batch
from recurra.tasks.tagger.label_numbers import MISSING, OPEN, UNSEEN, counted
from recurra.tasks.tagger.network import TaggerNetwork


class Decoded(NamedTuple):
    """One label of a batch."""

    labels: Tensor
    """int64 (T, B)."""
    probabilities: Tensor | None
    """(T, B, K), of every value at every word; None where nobody asked."""


def decode(network: TaggerNetwork, scores: list[Tensor], batch: Batch, *, probabilities: bool = False) -> list[Decoded]:
    """The best values of each label.

    Args:
        network: whose scores these are.
        scores: for each label (T, B, K).
        batch: what they were computed from.
        probabilities: also those of all values: softmax, or the marginals of the random field.
    """
    decoded = []
    for place, score in enumerate(scores):
        field = network.field(place)
        if field is None:
            shares = score.softmax(-1) if probabilities else None
            decoded.append(Decoded(score.argmax(-1), shares))
        else:
            shares = field.marginals(score, batch.lengths) if probabilities else None
            decoded.append(Decoded(field.best_path(score, batch.lengths).labels, shares))
    return decoded


class LabelLoss(NamedTuple):
    """The loss of one label."""

    total: Tensor
    """A scalar in nats, summed over the words that count."""
    words: Tensor
    """int64 scalar: how many these are."""


def losses(
    network: TaggerNetwork, scores: list[Tensor], batch: Batch, *, label_smoothing: float = 0.0
) -> list[LabelLoss]:
    """The loss of each label, over the words that have one which training had.

    Of a random field, the other words of a sentence are summed over: the loss is -log of the sum of the probabilities
    of all paths through the labels that are there. A sentence with a label that training never had has no loss in it.

    Args:
        network: whose scores these are.
        scores: for each label (T, B, K).
        batch: with labels.
        label_smoothing: as torch's, for labels chosen one by one.
    """
    results = []
    for place, (score, labels) in enumerate(zip(scores, batch.labels, strict=True)):
        field, possible = network.field(place), network.possible(place)
        if field is None:
            results.append(_one_by_one(score, labels, possible, label_smoothing))
        else:
            results.append(_together(field, score, labels, batch.lengths, possible))
    return results


def without_unseen(network: TaggerNetwork, batch: Batch) -> Batch:
    """The batch without the labels that `losses` leaves out of random fields, so that `batch.count` is true."""
    if network.decoders is None:
        return batch
    unseen = (batch.labels == UNSEEN).any(1, keepdim=True)  # (L, 1, B)
    return batch.with_labels(batch.labels.masked_fill(unseen, MISSING)) if bool(unseen.any()) else batch


def nats_of_words(score: Tensor, labels: Tensor, possible: Tensor) -> Tensor:
    """The loss of each word by a softmax, (T, B); 0 for those that do not count.

    Args:
        score: (T, B, K).
        labels: int64 (T, B).
        possible: bool (N, K), of labels that stand for several.
    """
    known = torch.where(labels >= 0, labels, UNSEEN)
    nats = F.cross_entropy(score.transpose(1, 2), known, reduction="none", ignore_index=UNSEEN)  # (T, K, B), (T, B)
    several = labels <= OPEN
    if len(possible) and bool(several.any()):
        nats = nats.masked_scatter(several, _nats_of_several(score[several], labels[several], possible))
    return nats


def _one_by_one(score: Tensor, labels: Tensor, possible: Tensor, label_smoothing: float) -> LabelLoss:
    known = torch.where(labels >= 0, labels, UNSEEN)
    flat = score.flatten(0, 1), known.flatten()  # (T·B, K), (T·B,)
    total = F.cross_entropy(*flat, reduction="sum", ignore_index=UNSEEN, label_smoothing=label_smoothing)
    several = labels <= OPEN
    if len(possible) and bool(several.any()):
        total = total + _nats_of_several(score[several], labels[several], possible).sum()
    return LabelLoss(total, counted(labels).sum())


def _nats_of_several(score: Tensor, labels: Tensor, possible: Tensor) -> Tensor:
    """-log of the summed probability of the labels that each of n words may have, (n,), of scores (n, K)."""
    shares = score.log_softmax(-1).masked_fill(~possible[OPEN - labels], -torch.inf)
    return -shares.logsumexp(-1)


def _together(
    field: ConditionalRandomField, score: Tensor, labels: Tensor, lengths: Tensor, possible: Tensor
) -> LabelLoss:
    # A path through a label that training never had has no probability: its sentence is left out.
    usable = counted(labels).any(0) & ~(labels == UNSEEN).any(0)  # (B,)
    whole = (labels >= 0).sum(0) == lengths
    rows = whole.nonzero()[:, 0]
    chosen = score[:, rows], labels[:, rows].clamp(min=0), lengths[rows]
    total, count = -field.log_probability(*chosen).sum(), lengths[rows].sum()
    partly = (usable & ~whole).nonzero()[:, 0]
    if len(partly):
        allowed = _allowed(labels[:, partly], possible)  # (T, b, K)
        shares = field.partial_log_probability(score[:, partly], allowed, lengths[partly])
        # No path may be left where training lacked a label that the words between must have.
        reachable = shares > -torch.inf
        total = total - shares[reachable].sum()
        count = count + counted(labels[:, partly])[:, reachable].sum()
    return LabelLoss(total, count)


def _allowed(labels: Tensor, possible: Tensor) -> Tensor:
    """Which values each word may have, bool (T, B, K): its own, one of several, or any where it has none."""
    K = possible.shape[1]
    single = F.one_hot(labels.clamp(min=0), K).bool()
    allowed = torch.where((labels >= 0)[:, :, None], single, torch.ones_like(single))
    several = labels <= OPEN
    allowed[several] = possible[OPEN - labels[several]]
    return allowed
