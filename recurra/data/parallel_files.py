"""Two files, of which each line of the one belongs to the same line of the other."""

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
    """Files of sources and, line by line, of their targets.

    Args:
        paths: of sources.
        targets: of targets; the i-th belongs to the i-th of sources.
        count: how many lines they have.
    """

    paths: Sequence[Path]
    targets: Sequence[Path]
    count: int = 0

    @classmethod
    def open(cls, sources: Sequence[Path], targets: Sequence[Path]) -> ParallelFiles:
        """The files, read once to check them.

        Raises:
            InputError: a file that cannot be read, or two of different length.
        """
        sources, targets = [Path(path) for path in sources], [Path(path) for path in targets]
        if len(sources) != len(targets):
            raise InputError(
                f"{len(sources)} files of sources and {len(targets)} of targets: expected as many, the first belongs "
                "to the first"
            )
        for path in (*sources, *targets):
            check_file(path)
        files = cls(sources, targets)
        return replace(files, count=sum(1 for _ in files._read()))

    def __len__(self) -> int:
        return self.count

    def read(self, first: int, last: int) -> Iterator[Pair]:
        """Pairs `first` to before `last`."""
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
                            "Expected files of as many lines, each the partner of the other's"
                        )
                    yield Pair(source.text, [target.text], f"{ours}:{number}")
