"""Word vectors out of text files: those of fastText (.vec), GloVe and word2vec (.txt), gzipped or not."""

from __future__ import annotations

import gzip
import zlib
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.data.lines import open_bytes, read_lines
from recurra.errors import InputError

_GZIP = b"\x1f\x8b"


class Vectors(NamedTuple):
    """Words and a vector for each."""

    words: list[str]
    matrix: npt.NDArray[np.float32]
    """(V, D) float32."""


def read_vectors(path: Path, *, most: int | None = None) -> Vectors:
    """The vectors in a file: a word and D numbers a line, apart by spaces; a first line of two numbers is skipped.

    Of a word that comes twice the first vector is kept. A word may hold spaces: the numbers are what is last.

    Args:
        path: the file; gzip is known by its first bytes.
        most: read so many vectors at most; files have the most frequent words first.

    Raises:
        InputError: a file that cannot be read, or a line that is no vector of as many numbers as the first; with its
            number.
    """
    places: dict[str, int] = {}
    numbers = array("f")
    size = 0
    with _opened(path) as file:
        for line in _lines(file, path):
            fields = line.text.rstrip(" ").split(" ")
            if line.number == 1 and len(fields) == 2:
                continue
            size = size or len(fields) - 1
            word, values = " ".join(fields[: len(fields) - size]), _numbers(fields[len(fields) - size :])
            if not size or not word or values is None:
                raise InputError(f"{path}:{line.number}: expected a word and {size or 'its'} numbers, apart by spaces")
            if word not in places:
                places[word] = len(places)
                numbers.extend(values)
            if most is not None and len(places) >= most:
                break
    if not places:
        raise InputError(f"{path}: no vector in it, expected a word and its numbers a line")
    return Vectors(list(places), np.frombuffer(numbers, dtype=np.float32).reshape(len(places), size))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with open_bytes(path) as file:
        begins = file.read(2)
        file.seek(0)
        if begins == _GZIP:
            with gzip.open(file) as unpacked:
                yield unpacked  # type: ignore[misc]  # it reads bytes by lines, though its class is another
        else:
            yield file


def _lines(file: BinaryIO, path: Path) -> Iterator[Any]:
    try:
        yield from read_lines(file, str(path))
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path}: cannot be unpacked ({error}). Download the file again") from None


def _numbers(fields: list[str]) -> list[float] | None:
    try:
        return [float(field) for field in fields]
    except ValueError:
        return None
