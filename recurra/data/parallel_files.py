"""Parallel files: line n of a source file belongs to line n of its target file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from pathlib import Path

from recurra.data.lines import open_bytes, read_lines
from recurra.data.pairs import Pair
from recurra.data.text import check_file
from recurra.errors import InputError


@dataclass(frozen=True)
class ParallelFiles:
    """Files of sources and of their targets, aligned by line.

    Args:
        paths: files of sources.
        targets: files of targets; the i-th belongs to the i-th file of sources.
        count: the number of lines.
    """

    paths: Sequence[Path]
    targets: Sequence[Path]
    count: int = 0

    @classmethod
    def open(cls, sources: Sequence[Path], targets: Sequence[Path]) -> ParallelFiles:
        """Reads the files once to check them.

        Raises:
            InputError: a file cannot be read, or two files have different numbers of lines.
        """
        sources, targets = [Path(path) for path in sources], [Path(path) for path in targets]
        if len(sources) != len(targets):
            raise InputError(
                f"{len(sources)} files of sources and {len(targets)} of targets: expected the same number, in the same "
                "order"
            )
        for path in (*sources, *targets):
            check_file(path)
        files = cls(sources, targets)
        return replace(files, count=sum(1 for _ in files._read()))

    def __len__(self) -> int:
        return self.count

    def read(self, first: int, last: int) -> Iterator[Pair]:
        """Iterates over the pairs `first` to before `last`."""
        return islice(self._read(), first, last)

    def _read(self) -> Iterator[Pair]:
        for ours, theirs in zip(self.paths, self.targets, strict=True):
            with ExitStack() as stack:
                files = [stack.enter_context(open_bytes(path)) for path in (ours, theirs)]
                lines = [read_lines(file, str(path)) for file, path in zip(files, (ours, theirs), strict=True)]
                for number, (source, target) in enumerate(zip_longest(*lines), start=1):
                    if source is None or target is None:
                        longer, shorter = (theirs, ours) if source is None else (ours, theirs)
                        raise InputError(
                            f"{longer}:{number}: this line has no partner: {shorter} ends with line {number - 1}. "
                            "Expected files with the same number of lines"
                        )
                    yield Pair(source.text, [target.text], f"{ours}:{number}")
