"""Pairs as the network reads them: padded, time first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.data.batching import mask, pad
from recurra.tasks.translator.vocabulary import END

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sources:
    """Some sources.

    Args:
        tokens: int64 (S, B), each closed by END; padding is END as well.
        lengths: int64 (B,), END counted.
    """

    tokens: Tensor
    lengths: Tensor

    def to(self, device: torch.device) -> Sources:
        """The sources on a device."""
        return Sources(self.tokens.to(device), self.lengths.to(device))


@dataclass(frozen=True)
class Batch:
    """Some pairs.

    Args:
        sources: what is read.
        inputs: int64 (T, B), END and then the target: what the decoder reads, shifted by one step.
        targets: int64 (T, B), the target and then END; END past a row's length.
        lengths: int64 (B,), END counted.
    """

    sources: Sources
    inputs: Tensor
    targets: Tensor
    lengths: Tensor

    @property
    def count(self) -> int:
        """How many symbols are predicted."""
        return int(self.lengths.sum())

    @property
    def inside(self) -> Tensor:
        """Bool (T, B), True where there is a target."""
        return mask(self.lengths, len(self.targets))

    @property
    def fresh(self) -> bool:
        """Pairs begin from no state."""
        return True

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        return Batch(self.sources.to(device), self.inputs.to(device), self.targets.to(device), self.lengths.to(device))


def pad_sources(sources: Sequence[Ids]) -> Sources:
    """Sources in a batch; their ids come without END."""
    return Sources(*_padded(sources))


def make_batch(pairs: Sequence[tuple[Ids, Ids]]) -> Batch:
    """Pairs in a batch: source and target ids, without END."""
    targets, lengths = _padded([target for _, target in pairs])
    inputs = torch.cat([torch.full_like(targets[:1], END), targets[:-1]])
    return Batch(pad_sources([source for source, _ in pairs]), inputs, targets, lengths)


def _padded(rows: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    """The rows (T, B), each with END after it, and their lengths with END."""
    lengths = torch.tensor([len(row) + 1 for row in rows])
    return pad(rows, END, length=int(lengths.max())), lengths
