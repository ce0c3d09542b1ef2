"""Reads files line by line with line numbers for error messages."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from recurra.data.formats import HEAD, refuse_foreign
from recurra.errors import InputError

# Maximal bytes of a line: a file with longer lines is hardly a text file, and would need too much memory.
_LONGEST_LINE = 1 << 24
BOM = "\ufeff"


class Line(NamedTuple):
    """A line of a file."""

    number: int
    """From 1."""
    text: str
    """Without line ending and byte order mark."""
    raw: str
    """Unchanged, with line ending."""


def read_lines(file: BinaryIO, name: str) -> Iterator[Line]:
    r"""Iterates over the lines of an open file in UTF-8; only \n and \r\n end a line.

    Args:
        file: open for reading bytes; a pipe is supported.
        name: name of the file in error messages.

    Raises:
        InputError: the file is not text by its first bytes (`refuse_foreign`), or a line is not UTF-8 or has more than
            16 MiB; with the line's number.
    """
    number = 0
    while data := file.readline(_LONGEST_LINE):
        if not number:
            refuse_foreign(head_of(data, file), name)
        number += 1
        if len(data) == _LONGEST_LINE:
            raise InputError(f"{name}:{number}: a line of more than {_LONGEST_LINE:,} bytes. Is this a text file?")
        yield decode_line(data, number, name)


def head_of(first: bytes, file: BinaryIO) -> bytes:
    """Returns the beginning of a file for `refuse_foreign` after its first line was read; keeps the file position."""
    # Reading more from an interactive pipe would block: its first line must be enough.
    if len(first) >= HEAD or not file.seekable():
        return first[:HEAD]
    place = file.tell()
    more = file.read(HEAD - len(first))
    file.seek(place)
    return first + more


def decode_line(data: bytes, number: int, name: str) -> Line:
    """Decodes one line of a file, line ending included.

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
    """Opens a file for reading bytes.

    Raises:
        InputError: it does not exist, is a folder, or cannot be read.
    """
    # No exception handler around the caller's block: its errors may concern other files.
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
    """A file open for reading whose read errors contain its name.

    Args:
        file: a path, or the descriptor of an open file, which stays open.
        name: name of the file in error messages.

    Raises:
        OSError: it cannot be opened.
        InputError: while reading, it cannot be read.
    """

    def __init__(self, file: Path | int, name: str) -> None:
        super().__init__(file, "rb", closefd=not isinstance(file, int))
        self._name = name

    def readinto(self, buffer: Any, /) -> int | None:
        """Reads like FileIO, but raises InputError."""
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise self._unreadable(error) from error

    def readall(self) -> bytes:
        """Reads like FileIO, but raises InputError."""
        try:
            return super().readall()
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> InputError:
        return InputError(f"{self._name}: cannot be read: {error.strerror or error}")


def end_of(raw: str) -> str:
    r"""Returns the line ending: \n, \r\n, or "" for a last line without one."""
    return "\r\n" if raw.endswith("\r\n") else "\n" if raw.endswith("\n") else ""
