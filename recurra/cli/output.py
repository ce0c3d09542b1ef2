"""Standard output and standard error of all commands: the encoding, closed pipes, full disks.

`main` runs every command inside `standard_streams`, so that results, help pages and the tables of other libraries
follow the same rules:

- A pipe or a file receives UTF-8, whatever the locale. A terminal receives its own encoding. `PYTHONIOENCODING`
  decides for both, as in Python.
- A character that the encoding lacks is written as a backslash escape, and stderr has one notice of it. JSON uses its
  own escapes. Bytes that are not UTF-8 (surrogate escapes) are written as those bytes.
- When the reader of a pipe closes it, as `head` does, the command ends with exit code 0 and no message.
- Any other failure to write results is an error that names stdout. A failure to write to stderr is ignored: a lost
  notice must not end a training run.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import select
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from recurra.errors import RecurraError

_ESCAPE = "recurra-escape"


class OutputError(RecurraError):
    """Results cannot be written. Not an OSError, so that handlers of reading errors do not catch it."""


class ReaderGone(BaseException):
    """The reader of stdout has closed it. Like SystemExit, it passes every `except Exception`."""


def put(text: str, *, as_json: bool = False) -> None:
    r"""Writes to stdout without translating \n; flushes at once if stdin is a terminal.

    Args:
        text: the text, newline included.
        as_json: whether the text is JSON; characters that stdout cannot encode are then written as JSON escapes.
    """
    sys.stdout.write(_encodable_json(text) if as_json else text)
    if is_interactive():
        sys.stdout.flush()


def _encodable_json(text: str) -> str:
    """Equivalent JSON that stdout can encode."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        # In JSON, characters outside ASCII occur only within strings, where each can be written as an escape.
        return "".join(character if character.isascii() else json.dumps(character)[1:-1] for character in text)
    return text


def is_interactive() -> bool:
    """Whether stdin is a terminal, so that a person waits for an answer to each line."""
    return sys.stdin is not None and sys.stdin.isatty()


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Replaces `sys.stdout` and `sys.stderr` by streams that follow the rules of this module, and restores them."""
    _occupy_closed_descriptors()
    before = sys.stdout, sys.stderr
    try:
        sys.stderr = _quiet(sys.stderr)
        sys.stdout = _results(sys.stdout)
        yield
    finally:
        # After success nothing is left to flush; after an error, a second error would hide the first.
        with contextlib.suppress(OutputError, ReaderGone):
            sys.stdout.flush()
        sys.stdout, sys.stderr = before


def _occupy_closed_descriptors() -> None:
    """Opens the null device for each closed standard stream, so that no file of a model receives its descriptor."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # receives the lowest free descriptor, which is this one


def _results(stream: TextIO | None) -> TextIO:
    """Stdout as commands write to it."""
    if stream is None:
        return _wrapped(_Results(None), "utf-8", "surrogateescape")
    binary = _binary(stream)
    if binary is None:  # a text stream that a caller has set, such as io.StringIO: it has no encoding
        return stream
    stream.flush()
    named, _, errors = _python_io_encoding().partition(":")
    encoding = stream.encoding if named or binary.isatty() else "utf-8"
    codecs.register_error(_ESCAPE, _escape_handler(encoding))
    return _wrapped(_Results(binary), encoding, errors or _ESCAPE)


def _quiet(stream: TextIO | None) -> TextIO:
    """Stderr as commands write to it; if it is closed, a stream that discards everything.

    If `sys.stderr` were None, `print(..., file=sys.stderr)` would write notices to stdout.
    """
    if stream is None:
        return _wrapped(_Notices(None), "utf-8", "backslashreplace")
    binary = _binary(stream)
    if binary is None:
        return stream
    with contextlib.suppress(OSError):
        stream.flush()
    return _wrapped(_Notices(binary), stream.encoding, "backslashreplace")


def _binary(stream: TextIO) -> Any:
    """The unbuffered stream of bytes below a stream of text, or None."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def _wrapped(raw: _Raw, encoding: str, errors: str) -> TextIO:
    """A text stream over `raw`; newlines are not translated, and a terminal receives each line at once."""
    buffered = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffered, encoding, errors, newline="\n", line_buffering=raw.isatty() or raw.unbuffered)


def _python_io_encoding() -> str:
    return "" if sys.flags.ignore_environment else os.environ.get("PYTHONIOENCODING", "")


def _escape_handler(encoding: str) -> Callable[[UnicodeError], tuple[str | bytes, int]]:
    """A handler of encoding errors: surrogate escapes become bytes, other characters escapes, with one notice."""
    noticed = False

    def escape(error: UnicodeError) -> tuple[str | bytes, int]:
        nonlocal noticed
        if not isinstance(error, UnicodeEncodeError):
            raise error
        first = error.object[error.start]
        if "\udc80" <= first <= "\udcff":
            return bytes([ord(first) - 0xDC00]), error.start + 1
        escaped = first.encode("ascii", "backslashreplace").decode()
        if not noticed:
            noticed = True
            print(
                f"recurra: stdout is written in {encoding}: characters that it lacks are written as escapes, such as "
                f"{escaped}. PYTHONIOENCODING=utf-8 writes UTF-8",
                file=sys.stderr,
            )
        return escaped, error.start + 1

    return escape


class _Raw(io.RawIOBase):
    """Writes bytes to a stream that it does not own: closing this one does not close the other."""

    unbuffered = False

    def __init__(self, target: Any) -> None:
        self._target = target
        self._failed = False

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._target is not None and bool(self._target.isatty())

    def fileno(self) -> int:
        if self._target is None:
            raise io.UnsupportedOperation("fileno: the stream is closed")
        return int(self._target.fileno())

    def write(self, data: Any, /) -> int:
        view = memoryview(data)
        # After a failure the rest of the buffer is discarded, also when the interpreter ends: each further write
        # would raise the error again.
        if not self._failed:
            try:
                return self._write(view)
            except OSError as error:
                self._failed = True
                self._fail(error)
        return view.nbytes

    def _write(self, view: memoryview) -> int:
        if self._target is None:
            raise OSError(0, "it is closed")
        while (written := self._target.write(view)) is None:
            select.select([], [self._target], [])  # a non-blocking pipe that is full: wait until it can be written to
        return int(written)

    def _fail(self, error: OSError) -> None:
        raise NotImplementedError


class _Results(_Raw):
    def _fail(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError | ConnectionResetError):
            raise ReaderGone from None
        raise OutputError(f"stdout: the results cannot be written: {error.strerror or error}") from error


class _Notices(_Raw):
    unbuffered = True

    def _fail(self, error: OSError) -> None:
        """Ignored: a lost notice must not end a training run."""
