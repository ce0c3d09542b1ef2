"""Sources with their targets, streamed from files as often as needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from recurra.data.text import BLOCK


class Pair(NamedTuple):
    """A source and its targets."""

    source: str
    targets: list[str]
    """One or more, in the order of the file."""
    place: str
    """The first line of the source, as file:line."""


def is_empty(text: str) -> bool:
    """Whether a source or a target is empty or only whitespace."""
    return not text.strip()


class PairFiles(Protocol):
    """Files of pairs."""

    @property
    def paths(self) -> Sequence[Path]:
        """The files, without those of targets."""
        ...

    def __len__(self) -> int:
        """Number of pairs."""
        ...

    def read(self, first: int, last: int) -> Iterator[Pair]:
        """Iterates over the pairs `first` to before `last`."""
        ...


@dataclass(frozen=True)
class Pairs:
    """Pairs `first` to before `last` of files, read from disk at each iteration; see `open_pairs`."""

    files: PairFiles
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[Pair]:
        return self.files.read(self.first, self.last)

    def part(self, first: int, last: int) -> Pairs:
        """Returns the pairs `first` to before `last` of these."""
        return replace(self, first=self.first + first, last=min(self.first + last, self.last))


@dataclass(frozen=True)
class PairText:
    """One side of pairs, or both, as a text to build a vocabulary from; pairs with an empty side are skipped.

    Args:
        pairs: the pairs.
        sources: include the sources, each once.
        targets: include the targets.
        between: separator of sentences; "" if every character would be counted.
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
        """All sentences as one file, in pieces of about `block_size` characters."""
        yield self.pairs.files.paths[0], self._blocks(block_size)

    def _blocks(self, block_size: int) -> Iterator[str]:
        parts: list[str] = []
        size = 0
        for sentence in self._sentences():
            parts += (sentence, self.between)
            size += len(sentence)
            if size >= block_size:
                yield "".join(parts)
                parts, size = [], 0
        if parts:
            yield "".join(parts)

    def _sentences(self) -> Iterator[str]:
        for pair in self.pairs:
            targets = [target for target in pair.targets if not is_empty(target)]
            if targets and not is_empty(pair.source):
                if self.sources:
                    yield pair.source
                if self.targets:
                    yield from targets
