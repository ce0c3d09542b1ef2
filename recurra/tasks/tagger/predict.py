"""A tagger over many sentences: batched by length, predictions in the order of the sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.data.batching import by_length
from recurra.tasks.tagger.batch import Batch, Forms, make_batch
from recurra.tasks.tagger.corpus import Coded
from recurra.tasks.tagger.decode import decode, losses
from recurra.tasks.tagger.network import TaggerNetwork

# Words of a batch, padding included.
_BATCH_WORDS = 2048


class Predicted(NamedTuple):
    """The labels that the network predicts for one sentence."""

    labels: list[list[int]]
    """For each label its values by number."""
    probabilities: list[npt.NDArray[np.float32]] | None
    """For each label (T, K); None where they were not requested."""


class Losses(NamedTuple):
    """The loss of some sentences, of each label."""

    totals: list[float]
    """In nats."""
    counts: list[int]
    """The words that each sums over: those whose label counts."""

    def add(self, other: Losses) -> Losses:
        """The loss of both."""
        totals = [one + more for one, more in zip(self.totals, other.totals, strict=True)]
        return Losses(totals, [one + more for one, more in zip(self.counts, other.counts, strict=True)])

    def per_word(self) -> float:
        """Nats per word, summed over the labels: each divided by the words whose label counts."""
        if len(set(self.counts)) == 1:
            return sum(self.totals) / max(1, self.counts[0])
        return sum(total / count for total, count in zip(self.totals, self.counts, strict=True) if count)

    @classmethod
    def none(cls, labels: int) -> Losses:
        """Of no sentence."""
        return cls([0.0] * labels, [0] * labels)


def predict(
    network: TaggerNetwork,
    sentences: Sequence[Coded],
    forms: Forms,
    *,
    features: int,
    probabilities: bool = False,
    spelling: Tensor | None = None,
) -> list[Predicted]:
    """The labels of sentences, in their order.

    Args:
        network: in evaluation mode.
        sentences: as numbers; labels are not read.
        forms: what the places mean.
        features: how many feature columns there are, F.
        probabilities: also those of all values.
        spelling: (n, 2·S), that of each form, where it is known already.
    """
    # Sentences without words are in no batch.
    predictions = [Predicted([], None)] * len(sentences)
    unlabelled = [_unlabelled(one, features) for one in sentences]
    for numbers, batch in _batches(unlabelled, forms, features, network.device, spelling):
        decoded = decode(network, network(batch).scores, batch, probabilities=probabilities)
        labels = [one.labels.T.tolist() for one in decoded]  # L lists of B lists of T
        shares = [one.probabilities for one in decoded if one.probabilities is not None]
        for row, (number, length) in enumerate(zip(numbers, batch.lengths.tolist(), strict=True)):
            of_row = [share[:length, row].cpu().numpy() for share in shares] if probabilities else None
            predictions[number] = Predicted([one[row][:length] for one in labels], of_row)
    return predictions


def loss_of(
    network: TaggerNetwork,
    sentences: Sequence[Coded],
    forms: Forms,
    *,
    features: int,
    spelling: Tensor | None = None,
) -> Losses:
    """The loss of sentences with labels."""
    total = Losses.none(len(network.readouts))
    for _, batch in _batches(sentences, forms, features, network.device, spelling):
        of_batch = losses(network, network(batch).scores, batch)
        total = total.add(Losses([float(one.total) for one in of_batch], [int(one.words) for one in of_batch]))
    return total


def _batches(
    sentences: Sequence[Coded], forms: Forms, features: int, device: torch.device, spelling: Tensor | None
) -> Iterator[tuple[list[int], Batch]]:
    """Batches of sentences of similar lengths, and which sentences they are; those without words are left out."""
    for numbers in by_length([len(one.rows) for one in sentences], tokens=_BATCH_WORDS):
        chosen = [sentences[number] for number in numbers]
        yield numbers, make_batch(chosen, forms, features=features, spelling=spelling).to(device)


def _unlabelled(one: Coded, features: int) -> Coded:
    return one._replace(rows=one.rows[:, : 1 + features])


def evaluating(network: TaggerNetwork) -> torch.inference_mode:
    """A context for using the network: in evaluation mode, nothing kept for gradients."""
    network.eval()
    return torch.inference_mode()
