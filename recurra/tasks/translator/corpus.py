"""Pairs as ids: encoded on disk and read through a memory map, so that memory does not grow; padded in batches."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.data import Pair, is_empty
from recurra.data.batching import mask, pad
from recurra.data.ragged import Ragged, RaggedWriter
from recurra.errors import InputError
from recurra.files import read_object
from recurra.tasks.translator.vocabulary import BOS, EOS, Ids, Side, Vocabulary

SIDES = ("source", "target")
# How many pairs left out, and how many unknown symbols, are listed.
_LISTED = 5
# Of the encoded files: format 1 had no `Ragged` rows.
_FORMAT = 2
_REPAIR = "Train again without --resume"


class IdPair(NamedTuple):
    """A source and a target as ids, (S,) and (T,) int64, both without `EOS`."""

    source: Ids
    target: Ids


@dataclass
class Facts:
    """Counts over encoded pairs, and what was left out of them; the header of the encoded files."""

    pairs: int = 0
    sources: int = 0
    symbols: list[int] = field(default_factory=lambda: [0, 0])
    """Of sources, a source once for each of its targets, and of targets."""
    unknown: list[int] = field(default_factory=lambda: [0, 0])
    """Unknown symbols, counted in the same way."""
    unknown_symbols: list[list[str]] = field(default_factory=lambda: [[], []])
    """The most frequent of them."""
    target_characters: int = 0
    """Characters of the targets, with one more per target for its end."""
    target_spelling: float = 0.0
    """The cost of spelling the unknown symbols of targets, in nats."""
    empty: int = 0
    """Pairs left out for an empty side."""
    empty_places: list[str] = field(default_factory=list)
    """Where the first of them are, as file:line."""
    too_long: int = 0
    """Pairs left out because a side has too many symbols."""
    too_long_places: list[str] = field(default_factory=list)
    """Where the first of them are, as file:line."""


@dataclass(frozen=True)
class PairCorpus:
    """Pairs encoded on disk, one for each target of a source.

    Args:
        sources: int32, one row per pair.
        targets: int32, one row per pair.
        facts: their counts, and what was left out.
    """

    sources: Ragged
    targets: Ragged
    facts: Facts

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.sources)

    @property
    def source_lengths(self) -> Ids:
        """Symbols of each source, (P,), without `EOS`."""
        return self.sources.lengths

    @property
    def target_lengths(self) -> Ids:
        """Symbols of each target, (P,), without `EOS`."""
        return self.targets.lengths

    def pair(self, number: int) -> IdPair:
        """Returns the ids of one pair."""
        return IdPair(self.sources[number].astype(np.int64), self.targets[number].astype(np.int64))

    @classmethod
    def open(cls, folder: Path, name: str) -> PairCorpus:
        """Opens the corpus that `encode` wrote.

        Raises:
            InputError: a file is missing, damaged or of another version.
        """
        path = folder / f"{name}.json"
        content = read_object(path, missing=_REPAIR.lower(), mend=_REPAIR)
        if content.pop("format", 1) != _FORMAT:
            raise InputError(f"{path}: encoded by another version of recurra. Name the files again, without --resume")
        try:
            facts = Facts(**content)
        except TypeError as error:
            raise InputError(f"{path}: not the header of encoded pairs ({error}). {_REPAIR}") from None
        sources, targets = (Ragged.open(folder, f"{name}.{side}") for side in SIDES)
        symbols = [len(sources.values), len(targets.values)]
        if not len(sources) == len(targets) == facts.pairs or symbols != facts.symbols:
            raise InputError(f"{path}: does not fit the encoded pairs. {_REPAIR}")
        return cls(sources, targets, facts)


def encode(
    pairs: Iterable[Pair], vocabulary: Vocabulary, folder: Path, name: str, *, longest: int | None = None
) -> PairCorpus:
    """Writes pairs as ids, one at a time; pairs with an empty side are left out.

    Args:
        pairs: the pairs.
        vocabulary: symbols of both sides.
        folder: where the files are written.
        name: the first part of their names.
        longest: pairs with more symbols on a side are left out; None for no limit.
    """
    facts, counters = Facts(), (Counter[str](), Counter[str]())
    with ExitStack() as stack:
        writers = [stack.enter_context(RaggedWriter(folder, f"{name}.{side}", np.int32)) for side in SIDES]
        for source, targets in _encode_kept(pairs, vocabulary, facts, counters, longest):
            facts.sources += 1
            for target in targets:
                for side, (writer, ids) in enumerate(zip(writers, (source, target), strict=True)):
                    writer.append(ids)
                    facts.symbols[side] += len(ids)
                facts.pairs += 1
    facts.unknown = [counter.total() for counter in counters]
    spell = vocabulary.target.tokenizer.spelling_nats
    facts.target_spelling = math.fsum(count * spell(symbol) for symbol, count in counters[1].items())
    # Symbols of equal counts stay in the order of the text.
    facts.unknown_symbols = [[symbol for symbol, _ in counter.most_common(_LISTED)] for counter in counters]
    (folder / f"{name}.json").write_text(json.dumps({"format": _FORMAT, **asdict(facts)}), encoding="utf-8")
    return PairCorpus.open(folder, name)


def _encode_kept(
    pairs: Iterable[Pair],
    vocabulary: Vocabulary,
    facts: Facts,
    counters: tuple[Counter[str], Counter[str]],
    longest: int | None,
) -> Iterator[tuple[Ids, list[Ids]]]:
    """Yields each source with those of its targets that are not left out."""
    for pair in pairs:
        filled = [] if is_empty(pair.source) else [target for target in pair.targets if not is_empty(target)]
        _list_place(facts.empty_places, len(pair.targets) - len(filled), pair)
        facts.empty += len(pair.targets) - len(filled)
        if not filled:
            continue
        source = vocabulary.source.encode(pair.source)
        targets = [vocabulary.target.encode(target) for target in filled]
        kept = [longest is None or max(len(source), len(target)) <= longest for target in targets]
        _list_place(facts.too_long_places, kept.count(False), pair)
        facts.too_long += kept.count(False)
        if not any(kept):
            continue
        _count_unknown(counters[0], vocabulary.source, source, pair.source, kept.count(True))
        for keep, ids, text in zip(kept, targets, filled, strict=True):
            _count_unknown(counters[1], vocabulary.target, ids, text, keep)
            facts.target_characters += keep * (len(text) + 1)
        yield source, [ids for keep, ids in zip(kept, targets, strict=True) if keep]


def _list_place(places: list[str], left_out: int, pair: Pair) -> None:
    if left_out and len(places) < _LISTED:
        places.append(pair.place)


def _count_unknown(counter: Counter[str], side: Side, ids: Ids, text: str, times: int) -> None:
    # As a list: comparing so short an array takes twenty times as long.
    if side.unknown_id is not None and side.unknown_id in ids.tolist():
        counter.update(side.missing(text) * times)


@dataclass(frozen=True)
class SourceBatch:
    """B padded sources.

    Args:
        tokens: int64 (S, B), each source closed by `EOS`; the padding is `EOS` as well.
        lengths: int64 (B,), `EOS` included.
    """

    tokens: Tensor
    lengths: Tensor

    def to(self, device: torch.device) -> SourceBatch:
        """Returns the batch on a device."""
        return SourceBatch(self.tokens.to(device), self.lengths.to(device))


@dataclass(frozen=True)
class PairBatch:
    """B padded pairs.

    Args:
        sources: what the encoder reads.
        inputs: int64 (T, B), what the decoder reads: `BOS`, then the target, so that step t reads symbol t - 1.
        targets: int64 (T, B), what the decoder is to write: the target, then `EOS`; the padding is `EOS` as well.
        lengths: int64 (B,), steps of each target, `EOS` included.
    """

    sources: SourceBatch
    inputs: Tensor
    targets: Tensor
    lengths: Tensor

    @property
    def count(self) -> int:
        """How many symbols are predicted, `EOS` included."""
        return int(self.lengths.sum())

    @property
    def inside(self) -> Tensor:
        """Bool (T, B), True where there is data."""
        return mask(self.lengths, len(self.targets))

    @property
    def fresh(self) -> bool:
        """Whether the batch starts without a carried state: always."""
        return True

    def to(self, device: torch.device) -> PairBatch:
        """Returns the batch on a device."""
        inputs, targets, lengths = (tensor.to(device) for tensor in (self.inputs, self.targets, self.lengths))
        return PairBatch(self.sources.to(device), inputs, targets, lengths)


def pad_sources(sources: Sequence[Ids]) -> SourceBatch:
    """Returns the batch of sources, ids without `EOS`."""
    return SourceBatch(*_pad(sources))


def make_batch(pairs: Sequence[tuple[Ids, Ids]]) -> PairBatch:
    """Returns the batch of pairs, ids of source and target without `EOS`."""
    targets, lengths = _pad([target for _, target in pairs])
    inputs = torch.cat([torch.full_like(targets[:1], BOS), targets[:-1]])  # (T, B)
    return PairBatch(pad_sources([source for source, _ in pairs]), inputs, targets, lengths)


def _pad(rows: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    """Returns rows (T, B), each with `EOS` after it, and their lengths (B,) with it."""
    lengths = torch.tensor([len(row) + 1 for row in rows])
    return pad(rows, EOS, length=int(lengths.max())), lengths
