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
from recurra.tasks.translator.vocabulary import END, Ids, Side, Vocabulary

SIDES = ("source", "target")
# Of pairs left out and of unknown symbols so many are listed.
_SHOWN = 5
# Of the encoded files: format 1 had no `Ragged` rows.
_FORMAT = 2
_REPAIR = "Train again without --resume"


class IdPair(NamedTuple):
    """A source and a target as ids, (S,) and (T,) int64, neither with `END`."""

    source: Ids
    target: Ids


@dataclass
class Facts:
    """Counts over encoded pairs, and what was left out of them."""

    pairs: int = 0
    sources: int = 0
    symbols: list[int] = field(default_factory=lambda: [0, 0])
    """Of sources, a source once for each of its targets, and of targets."""
    unknown: list[int] = field(default_factory=lambda: [0, 0])
    unknown_symbols: list[list[str]] = field(default_factory=lambda: [[], []])
    """The most frequent of them."""
    target_characters: int = 0
    """Of the targets, one more each for its end."""
    target_spelling: float = 0.0
    """Nats that spelling the unknown symbols of targets costs."""
    empty: int = 0
    """Pairs left out for an empty side."""
    empty_places: list[str] = field(default_factory=list)
    """Where the first of them are."""
    too_long: int = 0
    """Pairs left out because a side has more symbols than were allowed."""
    too_long_places: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PairCorpus:
    """Pairs encoded on disk, one for each target of a source.

    Args:
        sources: int32, a row a pair.
        targets: int32, a row a pair.
        facts: their numbers, and what was left out.
    """

    sources: Ragged
    targets: Ragged
    facts: Facts

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self.sources)

    @property
    def source_lengths(self) -> Ids:
        """Symbols of each source, (P,), without `END`."""
        return self.sources.lengths

    @property
    def target_lengths(self) -> Ids:
        """Symbols of each target, (P,), without `END`."""
        return self.targets.lengths

    def pair(self, number: int) -> IdPair:
        """A source and a target."""
        return IdPair(self.sources[number].astype(np.int64), self.targets[number].astype(np.int64))

    @classmethod
    def open(cls, folder: Path, name: str) -> PairCorpus:
        """The corpus that `encode` wrote.

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
    """Writes pairs as ids, one at a time; those with an empty side are left out.

    Args:
        pairs: what to encode.
        vocabulary: symbols of both sides.
        folder: where the files go.
        name: what they begin with.
        longest: leave out pairs with more symbols on a side; None for none.
    """
    facts, counters = Facts(), (Counter[str](), Counter[str]())
    with ExitStack() as stack:
        writers = [stack.enter_context(RaggedWriter(folder, f"{name}.{side}", np.int32)) for side in SIDES]
        for source, targets in _encoded(pairs, vocabulary, facts, counters, longest):
            facts.sources += 1
            for target in targets:
                for side, (writer, ids) in enumerate(zip(writers, (source, target), strict=True)):
                    writer.append(ids)
                    facts.symbols[side] += len(ids)
                facts.pairs += 1
    facts.unknown = [counter.total() for counter in counters]
    spell = vocabulary.target.tokenizer.spelling_nats
    facts.target_spelling = math.fsum(count * spell(symbol) for symbol, count in counters[1].items())
    # Ties stay in the order of the text.
    facts.unknown_symbols = [[symbol for symbol, _ in counter.most_common(_SHOWN)] for counter in counters]
    (folder / f"{name}.json").write_text(json.dumps({"format": _FORMAT, **asdict(facts)}), encoding="utf-8")
    return PairCorpus.open(folder, name)


def _encoded(
    pairs: Iterable[Pair],
    vocabulary: Vocabulary,
    facts: Facts,
    counters: tuple[Counter[str], Counter[str]],
    longest: int | None,
) -> Iterator[tuple[Ids, list[Ids]]]:
    """Sources with those of their targets that are kept."""
    for pair in pairs:
        filled = [] if is_empty(pair.source) else [target for target in pair.targets if not is_empty(target)]
        _leave_out(facts.empty_places, len(pair.targets) - len(filled), pair)
        facts.empty += len(pair.targets) - len(filled)
        if not filled:
            continue
        source = vocabulary.source.encode(pair.source)
        targets = [vocabulary.target.encode(target) for target in filled]
        kept = [longest is None or max(len(source), len(target)) <= longest for target in targets]
        _leave_out(facts.too_long_places, kept.count(False), pair)
        facts.too_long += kept.count(False)
        if not any(kept):
            continue
        _count_unknown(counters[0], vocabulary.source, source, pair.source, kept.count(True))
        for keep, ids, text in zip(kept, targets, filled, strict=True):
            _count_unknown(counters[1], vocabulary.target, ids, text, keep)
            facts.target_characters += keep * (len(text) + 1)
        yield source, [ids for keep, ids in zip(kept, targets, strict=True) if keep]


def _leave_out(places: list[str], count: int, pair: Pair) -> None:
    if count and len(places) < _SHOWN:
        places.append(pair.place)


def _count_unknown(counter: Counter[str], side: Side, ids: Ids, text: str, times: int) -> None:
    # As a list: comparing so short an array takes twenty times as long.
    if side.unknown_id is not None and side.unknown_id in ids.tolist():
        counter.update(side.missing(text) * times)


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
