"""Lines of a file as they come, each with its number, so that an error can say where."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from recurra.data.formats import HEAD, refuse_foreign
from recurra.errors import InputError

# Bytes of one line beyond which a file is no file of lines, and would not be read in constant memory.
_LONGEST_LINE = 1 << 24
BOM = "\ufeff"


class Line(NamedTuple):
    """One line."""

    number: int
    """From 1."""
    text: str
    """Without its end, and without a byte order mark."""
    raw: str
    """As it was, end included."""


def read_lines(file: BinaryIO, name: str) -> Iterator[Line]:
    r"""The lines of an open file: UTF-8, ended by \n or \r\n; only those end a line.

    Args:
        file: open for reading bytes; a pipe will do.
        name: what errors call it.

    Raises:
        InputError: what is no text by its first bytes (`refuse_foreign`); a line that is not UTF-8 or has more than
            16 MiB, with its number.
    """
    number = 0
    while data := file.readline(_LONGEST_LINE):
        if not number:
            refuse_foreign(head_of(data, file), name)
        number += 1
        if len(data) == _LONGEST_LINE:
            raise InputError(f"{name}:{number}: a line of more than {_LONGEST_LINE:,} bytes. Is this a text file?")
        yield decoded(data, number, name)


def head_of(first: bytes, file: BinaryIO) -> bytes:
    """The beginning of a file for `refuse_foreign`, when only its first line was read; its place stays as it is."""
    # A pipe that is typed into is not waited for: its first line has to do.
    if len(first) >= HEAD or not file.seekable():
        return first[:HEAD]
    place = file.tell()
    more = file.read(HEAD - len(first))
    file.seek(place)
    return first + more


def decoded(data: bytes, number: int, name: str) -> Line:
    """One line of a file from its bytes, the end included.

    Raises:
        InputError: it is not UTF-8.
    """
    try:
        raw = data.decode()
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise InputError(
            f"{name}:{number}: not UTF-8: byte {error.start + 1} of the line is 0x{byte:02x} ({error.reason}). "
            "Convert the file to UTF-8 first"
        ) from None
    text = raw.removesuffix("\n").removesuffix("\r")
    return Line(number, text.removeprefix(BOM) if number == 1 else text, raw)


@contextmanager
def open_bytes(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file open for reading bytes.

    Raises:
        InputError: it is missing, a folder, or cannot be read.
    """
    # The caller's block runs outside of any handler: what it fails to write is no fault of this file.
    with io.BufferedReader(_open(Path(path))) as file:
        yield file


def _open(path: Path) -> InputFile:
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder, expected a file. Name its files, for example {path / '*'}")
        return InputFile(path, str(path))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


class InputFile(io.FileIO):
    """A file open for reading whose failures name it, wherever they happen.

    Args:
        file: a path, or the number of an open file, which stays open.
        name: what errors call it.

    Raises:
        OSError: it cannot be opened.
        InputError: while reading, it cannot be read.
    """

    def __init__(self, file: Path | int, name: str) -> None:
        super().__init__(file, "rb", closefd=not isinstance(file, int))
        self._called = name

    def readinto(self, buffer: Any, /) -> int | None:
        """Reads as FileIO does; with other failures."""
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise self._unreadable(error) from error

    def readall(self) -> bytes:
        """Reads as FileIO does; with other failures."""
        try:
            return super().readall()
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> InputError:
        return InputError(f"{self._called}: cannot be read: {error.strerror or error}")


def end_of(raw: str) -> str:
    r"""What ends a line: \n, \r\n, or nothing where the file stops."""
    return "\r\n" if raw.endswith("\r\n") else "\n" if raw.endswith("\n") else ""
