"""Tables of pairs, one source and target per line; lines with the same source are grouped wherever they are."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recurra.data.lines import Line, decode_line, open_bytes, read_lines
from recurra.data.pairs import Pair, is_empty
from recurra.data.text import check_file
from recurra.errors import InputError

# Bytes of a source's digest: enough to exclude collisions.
_BYTES = 12
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PairTables:
    """Tables of pairs. Only the offset of each line is held in memory, and a digest of each source while checking.

    Args:
        paths: the files.
        stamps: size and modification time of each file when it was checked.
        starts: (F + 1,) the number of the first line of each file, and the number of all lines.
        offsets: (L,) the start of each line in its file, in bytes.
        order: (L,) the lines grouped by source, sources in order of first occurrence.
        ends: (N,) the end of the lines of each source in `order`.
    """

    paths: Sequence[Path]
    stamps: list[tuple[int, int]]
    starts: list[int]
    offsets: Numbers
    order: Numbers
    ends: Numbers

    @classmethod
    def open(cls, paths: Sequence[Path]) -> PairTables:
        """Reads the tables once to check them and to group lines by source.

        Raises:
            InputError: a file cannot be read, or a line is not a pair.
        """
        paths = [Path(path) for path in paths]
        for path in paths:
            check_file(path)
        stamps = [_stamp(path) for path in paths]
        known: dict[bytes, int] = {}
        offsets, numbers, starts, count = array("q"), array("q"), [0], 0
        for path in paths:
            place = 0
            with open_bytes(path) as file:
                for line in read_lines(file, str(path)):
                    source, _ = columns(line, path)
                    # Empty sources are not grouped.
                    number = count if is_empty(source) else known.setdefault(_digest(source), count)
                    count += number == count
                    numbers.append(number)
                    offsets.append(place)
                    place += len(line.raw.encode())
            starts.append(len(numbers))
        grouped = np.frombuffer(numbers, dtype=np.int64)
        order = np.argsort(grouped, kind="stable")
        return cls(paths, stamps, starts, np.frombuffer(offsets, dtype=np.int64), order, np.bincount(grouped).cumsum())

    def __len__(self) -> int:
        return len(self.ends)

    def read(self, first: int, last: int) -> Iterator[Pair]:
        """Iterates over sources `first` to before `last` with their targets."""
        with closing(_Rows(self)) as rows:
            for number in range(first, min(last, len(self))):
                begin = self.ends[number - 1] if number else 0
                lines = self.order[begin : self.ends[number]].tolist()
                pairs = [rows.row(line) for line in lines]
                yield Pair(pairs[0][0], [target for _, target in pairs], self.place(lines[0]))

    def file_of(self, line: int) -> int:
        """Returns the number of the file of a line."""
        return bisect_right(self.starts, line) - 1

    def place(self, line: int) -> str:
        """Formats a line as file:line."""
        file = self.file_of(line)
        return f"{self.paths[file]}:{line - self.starts[file] + 1}"


class _Rows:
    """Reads lines by number, with one open file at a time, because the lines of a source are usually adjacent."""

    def __init__(self, tables: PairTables) -> None:
        self._tables = tables
        self._number = -1
        self._stack = ExitStack()

    def row(self, line: int) -> tuple[str, str]:
        """Returns the source and the target of a line."""
        number = self._tables.file_of(line)
        path = self._tables.paths[number]
        if number != self._number:
            self.close()
            if _stamp(path) != self._tables.stamps[number]:
                raise InputError(f"{path}: has changed since it was checked. Keep it unchanged, and start again")
            self._number, self._file = number, self._stack.enter_context(open_bytes(path))
        self._file.seek(int(self._tables.offsets[line]))
        return columns(decode_line(self._file.readline(), line - self._tables.starts[number] + 1, str(path)), path)

    def close(self) -> None:
        """Closes the open file."""
        self._stack.close()


def columns(line: Line, path: Path) -> tuple[str, str]:
    """Returns the source and the target of a line; both are empty for an empty line.

    Raises:
        InputError: the line does not have two columns.
    """
    fields = line.text.split("\t")
    if len(fields) == 2:
        return fields[0], fields[1]
    if is_empty(line.text):
        return "", ""
    problem = f"{len(fields)} columns" if len(fields) > 1 else "no tab"
    raise InputError(
        f"{path}:{line.number}: {problem}, expected a source and a target separated by one tab. Parallel files are "
        "named by --source and --target"
    )


def _digest(source: str) -> bytes:
    return hashlib.blake2b(source.encode(), digest_size=_BYTES).digest()


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
