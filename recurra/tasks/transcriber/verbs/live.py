"""Raw sound on stdin, transcribed while it arrives."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.cli.streams import opened
from recurra.errors import InputError
from recurra.tasks.transcriber.model import Transcriber
from recurra.tasks.transcriber.transcript import Word

# Bytes that are read at once: a tenth of a second at 16,000 samples per second.
_CHUNK = 3200
# Columns of a terminal in which the pending text is shown.
_COLUMNS = 79


def transcribe_live(transcriber: Transcriber, rate: int | None, to: str, options: dict[str, Any]) -> None:
    """Transcribes raw sound on stdin, 16-bit integers, and writes words as they settle.

    Args:
        transcriber: the model.
        rate: samples per second; None for those of the training data.
        to: text, or json for one object per word.
        options: of `Transcriber.stream`.

    Raises:
        InputError: stdin is a terminal, the model reads features, or an option cannot be used.
    """
    if transcriber.features.rate is None:
        raise InputError("this transcriber reads features, not sound: name .npy files")
    if sys.stdin is not None and sys.stdin.isatty():
        raise InputError("stdin is a terminal: pipe raw sound into the command, such as from arecord -t raw -f S16_LE")
    stream = transcriber.stream(rate, **options)
    display = _Display(to)
    for chunk in _chunks():
        partial = stream.accept(chunk)
        display.show(partial.words, partial.pending)
    display.show(stream.finish(), "")
    display.close()


def _chunks() -> Iterator[npt.NDArray[np.int16]]:
    """Yields the samples of stdin as they arrive."""
    with opened(None) as (source, _):
        rest = b""
        while data := source.read1(_CHUNK):  # type: ignore[attr-defined]
            data = rest + data
            whole = len(data) // 2 * 2
            rest = data[whole:]
            yield np.frombuffer(data[:whole], dtype="<i2")


class _Display:
    """Writes settled words to stdout; a terminal also shows the text that may still change."""

    def __init__(self, to: str) -> None:
        self._to, self._line = to, ""
        self._rewrites = to == "text" and sys.stdout.isatty()

    def show(self, words: list[Word], pending: str) -> None:
        """Writes words, and the pending text after them."""
        if self._to == "json":
            for word in words:
                sys.stdout.write(json.dumps(word.to_plain(), ensure_ascii=False) + "\n")
        elif self._rewrites:
            self._line += "".join(f"{word.text} " for word in words)
            # A line that is full stays, and the next one begins.
            while len(self._line) > _COLUMNS:
                cut = self._line.rfind(" ", 0, _COLUMNS)
                cut = _COLUMNS if cut <= 0 else cut
                sys.stdout.write(f"\r\x1b[K{self._line[:cut]}\n")
                self._line = self._line[cut:].lstrip()
            sys.stdout.write(f"\r\x1b[K{(self._line + pending)[-_COLUMNS:]}")
        else:
            sys.stdout.write("".join(f"{word.text} " for word in words))
        if words or self._rewrites:
            sys.stdout.flush()

    def close(self) -> None:
        """Ends the line of text."""
        if self._to == "text":
            sys.stdout.write("\n")
        sys.stdout.flush()
