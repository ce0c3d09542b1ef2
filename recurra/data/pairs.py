"""A source and its targets; many of them, streamed out of files as often as they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from recurra.data.text import BLOCK


class Pair(NamedTuple):
    """A source and what it may become."""

    source: str
    targets: list[str]
    """One or more, in the order of the file."""
    place: str
    """Where the source first stands, as file:line."""


def is_empty(text: str) -> bool:
    """Whether there is nothing to read in a source or a target: no character, or only whitespace."""
    return not text.strip()


class PairFiles(Protocol):
    """Files that hold pairs."""

    @property
    def paths(self) -> Sequence[Path]:
        """The files, those of targets aside."""
        ...

    def __len__(self) -> int:
        """How many pairs there are."""
        ...

    def read(self, first: int, last: int) -> Iterator[Pair]:
        """Pairs `first` to before `last`."""
        ...


@dataclass(frozen=True)
class Pairs:
    """Pairs `first` to before `last` of some files, read anew each time; `open_pairs` makes one."""

    files: PairFiles
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[Pair]:
        return self.files.read(self.first, self.last)

    def part(self, first: int, last: int) -> Pairs:
        """Pairs `first` to before `last` of these."""
        return replace(self, first=self.first + first, last=min(self.first + last, self.last))


@dataclass(frozen=True)
class PairText:
    """One side of pairs, or both, as a text to take a vocabulary from; pairs with an empty side have no part in it.

    Args:
        pairs: where the sentences are.
        sources: take the sources, each once.
        targets: take the targets.
        between: what stands between two sentences; nothing where every character would count.
    """

    pairs: Pairs
    sources: bool
    targets: bool
    between: str
    raw = False

    def blocks(self) -> Iterator[str]:
        """The sentences in pieces."""
        for _, blocks in self.files():
            yield from blocks

    def files(self, block_size: int = BLOCK, /) -> Iterator[tuple[Path, Iterator[str]]]:
        """All sentences as of one file, in pieces of about `block_size` characters."""
        yield self.pairs.files.paths[0], self._blocks(block_size)

    def _blocks(self, block_size: int) -> Iterator[str]:
        held: list[str] = []
        size = 0
        for sentence in self._sentences():
            held += (sentence, self.between)
            size += len(sentence)
            if size >= block_size:
                yield "".join(held)
                held, size = [], 0
        if held:
            yield "".join(held)

    def _sentences(self) -> Iterator[str]:
        for pair in self.pairs:
            targets = [target for target in pair.targets if not is_empty(target)]
            if targets and not is_empty(pair.source):
                if self.sources:
                    yield pair.source
                if self.targets:
                    yield from targets
