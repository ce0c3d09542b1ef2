"""Pairs of a source and its targets out of files: checked whole first, then streamed as often as they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from recurra.data.pair import Pair, is_empty
from recurra.data.pair_tables import PairTables
from recurra.data.parallel_files import ParallelFiles
from recurra.data.text import BLOCK
from recurra.errors import InputError


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


def open_pairs(
    files: Sequence[Path] = (), *, source: Sequence[Path] | None = None, target: Sequence[Path] | None = None
) -> Pairs:
    """The pairs of tables or of parallel files, which are read once from end to end to check them.

    A table has a source and a target a line, apart by a tab; lines with the same source, wherever they stand, are
    several targets of it. Of parallel files each line of the one belongs to the same line of the other. A pair may
    have empty sides.

    Args:
        files: tables.
        source: in place of them files of sources.
        target: and those of their targets, as many.

    Raises:
        InputError: what cannot be read as pairs, with file and line.
    """
    if source is None and target is None:
        if not files:
            raise InputError("no files of pairs: name a table such as pairs.tsv, or files by --source and --target")
        opened: PairFiles = PairTables.open(files)
    elif files:
        raise InputError(f"{files[0]}: give files of pairs, or files of sources and targets, not both")
    elif not source or not target:
        raise InputError("sources and targets go together: name files by --source and by --target")
    else:
        opened = ParallelFiles.open(source, target)
    return Pairs(opened, 0, len(opened))


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
