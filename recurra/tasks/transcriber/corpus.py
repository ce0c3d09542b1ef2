"""Encoded recordings on disk, and the batches that a network is trained on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.data.audio.feature_statistics import FeatureStatistics
from recurra.data.batching import pad
from recurra.data.ragged import Ragged
from recurra.errors import InputError
from recurra.tasks.transcriber.alphabet import Alphabet

Ids = npt.NDArray[np.int64]
Frames = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Said:
    """What is known about a recording besides its sound."""

    row: int
    """The number of its features among those on disk."""
    text: str
    speaker: str | None
    name: str


@dataclass(frozen=True, eq=False)
class Corpus:
    """Recordings with their texts.

    Args:
        rows: features on disk, not normalised.
        said: of each recording.
        alphabet: the symbols of the texts.
    """

    rows: Ragged
    said: list[Said]
    alphabet: Alphabet
    _ids: dict[int, Ids] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.said)

    def features(self, number: int) -> Frames:
        """Returns the features of a recording, (T, F), not normalised."""
        return self.rows[self.said[number].row]

    @cached_property
    def lengths(self) -> Ids:
        """The frames of each recording, (R,) int64."""
        return self.rows.lengths[[said.row for said in self.said]]

    def ids(self, number: int) -> Ids:
        """Returns the symbols of a text, (N,) int64."""
        if number not in self._ids:
            self._ids[number] = self.alphabet.encode(self.said[number].text)
        return self._ids[number]

    @cached_property
    def speakers(self) -> dict[str | None, Ids]:
        """The numbers of the recordings of each speaker; of all under None if no speaker is known."""
        groups: dict[str | None, list[int]] = {}
        for number, said in enumerate(self.said):
            groups.setdefault(said.speaker, []).append(number)
        return {speaker: np.array(numbers, dtype=np.int64) for speaker, numbers in groups.items()}

    @cached_property
    def speaker_statistics(self) -> dict[str, FeatureStatistics]:
        """Mean and variance of the features of each known speaker."""
        return {
            speaker: statistics_of([self.features(number) for number in numbers.tolist()])
            for speaker, numbers in self.speakers.items()
            if speaker is not None
        }

    def statistics(self, number: int) -> FeatureStatistics | None:
        """Returns the statistics of the speaker of a recording; None if the speaker is not known."""
        speaker = self.said[number].speaker
        return None if speaker is None else self.speaker_statistics[speaker]


def statistics_of(rows: Sequence[Any]) -> FeatureStatistics:
    """Returns mean and variance over the frames of several rows (T_i, F)."""
    total = FeatureStatistics.empty(rows[0].shape[1])
    for row in rows:
        total = total.merged(FeatureStatistics.of(row))
    return total


def write_said(folder: Path, name: str, said: Sequence[Said]) -> None:
    """Writes the texts of recordings, one JSON list per line."""
    with (folder / f"{name}.said.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps([one.row, one.text, one.speaker, one.name]) + "\n" for one in said)


def read_corpus(folder: Path, name: str, alphabet: Alphabet) -> Corpus:
    """Opens the recordings of a folder.

    Raises:
        InputError: a file is missing or damaged.
    """
    path = folder / f"{name}.said.jsonl"
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            said = [Said(*json.loads(line)) for line in file]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error}). Train again without --resume") from None
    rows = Ragged.open(folder, name)
    if any(not 0 <= one.row < len(rows) for one in said):
        raise InputError(f"{path}: does not fit the {len(rows)} recordings. Train again without --resume")
    return Corpus(rows, said, alphabet)


@dataclass(frozen=True)
class SpeechBatch:
    """Padded recordings with their symbols."""

    features: Tensor
    """(T, B, F), normalised; 0 past each row's end."""
    lengths: Tensor
    """(B,) int64: frames of each row."""
    targets: Tensor
    """(N,) int64: the symbols of all rows, one after the other."""
    target_lengths: Tensor
    """(B,) int64: symbols of each row."""
    leads: Tensor
    """(B,) int64: frames at the start of each row in which no symbol may be written."""
    fresh: bool = True
    """No state is carried from one batch to the next."""

    @property
    def count(self) -> int:
        """Number of symbols."""
        return len(self.targets)

    def to(self, device: torch.device) -> SpeechBatch:
        """Returns the batch on a device."""
        return SpeechBatch(
            self.features.to(device),
            self.lengths.to(device),
            self.targets.to(device),
            self.target_lengths.to(device),
            self.leads.to(device),
        )


def make_batch(rows: Sequence[Frames], targets: Sequence[Ids], leads: Sequence[int] | None = None) -> SpeechBatch:
    """Returns a batch of rows (T_i, F) with symbols (N_i,).

    Args:
        rows: normalised features.
        targets: the symbols of each row.
        leads: frames at the start of each row in which no symbol may be written; None for none.
    """
    return SpeechBatch(
        pad(rows),
        torch.tensor([len(row) for row in rows]),
        torch.from_numpy(np.concatenate(targets)),
        torch.tensor([len(ids) for ids in targets]),
        torch.tensor([0] * len(rows) if leads is None else leads),
    )


def needed_steps(ids: Ids) -> int:
    """Returns the fewest steps of CTC for symbols (N,): one each, and a blank between two equal ones."""
    return len(ids) + int((ids[1:] == ids[:-1]).sum())
