"""What verbs read from and write to: a file or stdin, and stdout, as bytes of UTF-8 whatever the machine's encoding."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from recurra.data.lines import open_bytes


@contextmanager
def opened(file: Path | None) -> Iterator[tuple[BinaryIO, str]]:
    """A file, or stdin where None, open for reading bytes, and what errors call it."""
    if file is None:
        yield sys.stdin.buffer, "stdin"
        return
    with open_bytes(file) as source:
        yield source, str(file)


def put(text: str) -> None:
    r"""Writes as UTF-8, without turning \n into anything else."""
    sys.stdout.buffer.write(text.encode())
    # Who types wants the answer now, not when some thousands of bytes have come together.
    if sys.stdin.isatty():
        sys.stdout.buffer.flush()
