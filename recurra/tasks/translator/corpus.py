"""Pairs as numbers on disk: read while training through a memory map, so that memory does not grow."""

from __future__ import annotations

import json
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.data import Pair, is_empty
from recurra.errors import InputError
from recurra.tasks.translator.vocabulary import Ids, Side, Vocabulary

SIDES = ("source", "target")
# Of pairs left out and of unknown symbols so many are told.
_SHOWN = 5
_AGAIN = "Train again without --resume"


class IdPair(NamedTuple):
    """A source and a target as ids, (S,) and (T,) int64, neither with `END`."""

    source: Ids
    target: Ids


@dataclass
class Facts:
    """What is known of encoded pairs beside their ids."""

    pairs: int = 0
    sources: int = 0
    symbols: list[int] = field(default_factory=lambda: [0, 0])
    """Of sources, a source once for each of its targets, and of targets."""
    unknown: list[int] = field(default_factory=lambda: [0, 0])
    unknown_symbols: list[list[str]] = field(default_factory=lambda: [[], []])
    """The most frequent of them."""
    target_characters: int = 0
    """Of the targets, one more each for its end."""
    target_spelling: float | None = None
    """Nats that spelling the unknown symbols of targets costs; None where an earlier version encoded the pairs."""
    empty: int = 0
    """Pairs left out for an empty side."""
    empty_places: list[str] = field(default_factory=list)
    """Where the first of them stand."""
    too_long: int = 0
    """Pairs left out because a side has more symbols than were allowed."""
    too_long_places: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PairCorpus:
    """Pairs encoded on disk, one for each target of a source.

    Args:
        sources: (M,) int32, a memory map: the ids of all sources.
        targets: (N,) int32, a memory map.
        ends: (P, 2) int64, a memory map: where each pair's source and target end.
        facts: their numbers, and what was left out.
    """

    sources: npt.NDArray[np.int32]
    targets: npt.NDArray[np.int32]
    ends: Ids
    facts: Facts

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self.ends)

    @cached_property
    def source_lengths(self) -> Ids:
        """Symbols of each source, (P,), without `END`."""
        return np.diff(self.ends[:, 0], prepend=0)

    @cached_property
    def target_lengths(self) -> Ids:
        """Symbols of each target, (P,), without `END`."""
        return np.diff(self.ends[:, 1], prepend=0)

    def pair(self, number: int) -> IdPair:
        """A source and a target."""
        begins = self.ends[number - 1] if number else (0, 0)
        ends = self.ends[number]
        source, target = self.sources[begins[0] : ends[0]], self.targets[begins[1] : ends[1]]
        return IdPair(source.astype(np.int64), target.astype(np.int64))

    @classmethod
    def open(cls, folder: Path, name: str) -> PairCorpus:
        """The corpus that `encode` wrote.

        Raises:
            InputError: a file is missing or damaged.
        """
        path = folder / f"{name}.json"
        try:
            facts = Facts(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path}: cannot be read ({error}). {_AGAIN}") from None
        ends = _map(folder / f"{name}.ends.bin", np.int64, 2 * facts.pairs).reshape(-1, 2)
        sources, targets = (
            _map(folder / f"{name}.{side}.bin", np.int32, size) for side, size in zip(SIDES, facts.symbols, strict=True)
        )
        corpus = cls(sources, targets, ends, facts)
        if len(ends) and (ends[-1].tolist() != facts.symbols or (np.diff(ends, axis=0) < 1).any()):
            raise InputError(f"{folder / f'{name}.ends.bin'}: does not fit {path.name}. {_AGAIN}")
        return corpus


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
    facts, ends, counters = Facts(), array("q"), (Counter[str](), Counter[str]())
    with ExitStack() as stack:
        files = [stack.enter_context((folder / f"{name}.{side}.bin").open("wb")) for side in SIDES]
        for source, targets in _encoded(pairs, vocabulary, facts, counters, longest):
            facts.sources += 1
            for target in targets:
                for side, (file, ids) in enumerate(zip(files, (source, target), strict=True)):
                    file.write(ids.astype(np.int32).tobytes())
                    facts.symbols[side] += len(ids)
                ends.extend(facts.symbols)
                facts.pairs += 1
    facts.unknown = [counter.total() for counter in counters]
    spell = vocabulary.target.tokenizer.spelling_nats
    facts.target_spelling = math.fsum(count * spell(symbol) for symbol, count in counters[1].items())
    # Ties stay in the order of the text.
    facts.unknown_symbols = [[symbol for symbol, _ in counter.most_common(_SHOWN)] for counter in counters]
    with (folder / f"{name}.ends.bin").open("wb") as file:
        ends.tofile(file)
    (folder / f"{name}.json").write_text(json.dumps(asdict(facts)), encoding="utf-8")
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


def _map(path: Path, kind: Any, count: int) -> Any:
    wanted = count * np.dtype(kind).itemsize
    if not path.is_file() or path.stat().st_size != wanted:
        raise InputError(f"{path}: missing or cut short, expected {wanted} bytes. {_AGAIN}")
    # A plain view: slicing np.memmap itself costs microseconds a slice. An empty file cannot be mapped.
    return np.asarray(np.memmap(path, dtype=kind, mode="r")) if count else np.zeros(0, dtype=kind)
