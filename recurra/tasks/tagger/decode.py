"""From the network's scores to labels, their probabilities and their loss."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from recurra.tasks.tagger.batch import Batch
from recurra.tasks.tagger.corpus import UNSEEN
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


def losses(network: TaggerNetwork, scores: list[Tensor], batch: Batch, *, label_smoothing: float = 0.0) -> list[Tensor]:
    """The loss of each label, a scalar in nats, summed over the words; without those whose label training never had.

    Args:
        network: whose scores these are.
        scores: for each label (T, B, K).
        batch: with labels.
        label_smoothing: as torch's, for labels chosen one by one.
    """
    totals = []
    for place, (score, labels) in enumerate(zip(scores, batch.labels, strict=True)):
        field = network.field(place)
        if field is None:
            flat = score.flatten(0, 1), labels.flatten()  # (T·B, K), (T·B,)
            totals.append(F.cross_entropy(*flat, reduction="sum", ignore_index=UNSEEN, label_smoothing=label_smoothing))
        else:
            # A path through a label that training never had has no probability: its sentence is left out.
            told = ((labels != UNSEEN).sum(0) == batch.lengths).nonzero()[:, 0]
            chosen = score[:, told], labels[:, told].clamp(min=0), batch.lengths[told]
            totals.append(-field.log_probability(*chosen).sum())
    return totals
