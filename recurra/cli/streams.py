"""The input of commands: a file or stdin, as bytes."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from recurra.data.lines import InputFile, open_bytes
from recurra.errors import InputError


@contextmanager
def opened(file: Path | None) -> Iterator[tuple[BinaryIO, str]]:
    """Opens a file, or stdin for None, for reading bytes; yields it with its name in error messages.

    Raises:
        InputError: the file or stdin cannot be read.
    """
    if file is None:
        yield _stdin(), "stdin"
        return
    with open_bytes(file) as source:
        yield source, str(file)


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise InputError("stdin is closed: name a FILE, or pipe lines to the command")
    if sys.stdin.isatty():
        print("recurra: reading lines from the terminal; Ctrl-D on an empty line ends them", file=sys.stderr)
    try:
        return io.BufferedReader(InputFile(sys.stdin.fileno(), "stdin"))
    except io.UnsupportedOperation:  # a stream that a caller has set, without a file descriptor
        return sys.stdin.buffer
