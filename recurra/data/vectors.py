"""Reads word vectors from text files of fastText (.vec), GloVe and word2vec (.txt), optionally gzipped."""

from __future__ import annotations

import gzip
import zlib
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.data.formats import HEAD, refuse_foreign
from recurra.data.lines import Line, open_bytes, read_lines
from recurra.errors import InputError

_GZIP = b"\x1f\x8b"
# The signature of a binary fastText model.
_FASTTEXT = b"\xba\x16\x4f\x2f"
_PEEK = 4096


class WordVectors(NamedTuple):
    """Words and their vectors."""

    words: list[str]
    matrix: npt.NDArray[np.float32]
    """(V, D) float32."""


class _Header(NamedTuple):
    """The header line: two whole numbers."""

    vectors: int
    size: int


def read_vectors(path: Path, *, most: int | None = None) -> WordVectors:
    """Reads a file with a word and D numbers per line, separated by spaces; a first line of two numbers is a header.

    If a word occurs twice, its first vector is kept. A word may contain spaces: the last D fields are the numbers.

    Args:
        path: the file; gzip is detected by the first bytes.
        most: maximal number of vectors; files have the most frequent words first.

    Raises:
        InputError: the file cannot be read, is not text or has fewer vectors than in its header; or a line does not
            have the number of fields of the first line or the header, or has a number that is not finite in float32;
            with the line's number.
    """
    places: dict[str, int] = {}
    numbers, numbered = array("f"), array("q")
    repeated = 0
    with _opened(path) as file:
        header, lines = _header(line for line in _lines(file, path) if line.text.strip(" "))
        size = 0 if header is None else header.size
        for line in lines:
            fields = line.text.rstrip(" ").split(" ")
            size = size or len(fields) - 1
            word, values = " ".join(fields[: len(fields) - size]), _numbers(fields[len(fields) - size :])
            if not size or not word or values is None:
                raise InputError(
                    f"{path}:{line.number}: expected a word and {size or 'its'} numbers, separated by spaces"
                )
            if word in places:
                repeated += 1
                continue
            places[word] = len(places)
            numbers.extend(values)
            numbered.append(line.number)
            if most is not None and len(places) >= most:
                break
    if not places:
        raise InputError(f"{path}: no vectors, expected a word and its numbers per line")
    total = len(places) + repeated
    if header is not None and most is None and total < header.vectors:
        raise InputError(
            f"{path}: {total:,} vectors, but line 1 says {header.vectors:,}. Is it incomplete? Download it again, or "
            "correct line 1"
        )
    matrix = np.frombuffer(numbers, dtype=np.float32).reshape(len(places), size)
    _check_finite(matrix, list(places), numbered, path)
    return WordVectors(list(places), matrix)


def _header(lines: Iterator[Line]) -> tuple[_Header | None, Iterator[Line]]:
    """Returns the header, if the first line is one, and the lines of vectors."""
    first = next(lines, None)
    if first is None:
        return None, lines
    fields = first.text.split()
    # A vector of one number begins with its word: a header has two whole numbers.
    if len(fields) == 2 and all(field.isascii() and field.isdigit() for field in fields) and int(fields[1]):
        return _Header(int(fields[0]), int(fields[1])), lines
    return None, chain([first], lines)


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


def _lines(file: BinaryIO, path: Path) -> Iterator[Line]:
    try:
        _check_text(file.read(_PEEK), path)
        file.seek(0)
        yield from read_lines(file, str(path))
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path}: cannot be unpacked ({error}). Download the file again") from None


def _check_text(begins: bytes, path: Path) -> None:
    """Refuses files that are not text, by their first bytes."""
    if begins.startswith(_FASTTEXT):
        raise InputError(f"{path}: is a fastText model: name its .vec file")
    refuse_foreign(begins[:HEAD], str(path))
    if b"\0" in begins:
        raise InputError(
            f"{path}: is binary, such as .bin of word2vec, expected text. Convert it to text first, for example by "
            "gensim's save_word2vec_format(…, binary=False)"
        )


def _numbers(fields: list[str]) -> list[float] | None:
    try:
        return [float(field) for field in fields]
    except ValueError:
        return None


def _check_finite(matrix: npt.NDArray[np.float32], words: list[str], lines: array[int], path: Path) -> None:
    """Refuses numbers that are not finite, because the loss would not be finite either."""
    # A sum in float64 is finite exactly if all float32 numbers are.
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero(~np.isfinite(matrix.sum(1, dtype=np.float64)))
    if len(bad):
        row = int(bad[0])
        value = matrix[row][~np.isfinite(matrix[row])][0]
        raise InputError(
            f"{path}:{lines[row]}: the vector of {words[row]!r} has {value}, expected finite float32 numbers. "
            "Remove the line, or correct it"
        )
