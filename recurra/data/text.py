"""Files as one text: checked first, then streamed in blocks, never held in memory as a whole."""

import codecs
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recurra.data.formats import HEAD, refuse_foreign
from recurra.errors import InputError

# Bytes read at a time: large enough to amortise the overhead per block, small compared with memory.
BLOCK = 1 << 20
# Maximal characters without a position to cut at: a word tokenizer then raises an error, and a subword tokenizer cuts
# at any character.
LONGEST_WORD = 1 << 20


@dataclass(frozen=True)
class Source:
    """One file of a text.

    Args:
        path: the file.
        characters: number of characters, including an added newline.
        joined: whether a newline is added, because the file does not end with one and is not the last.
    """

    path: Path
    characters: int
    joined: bool = False


@dataclass(frozen=True)
class Text:
    """Characters `start` to `end` of the concatenation of files; `len` is the number of characters.

    Line endings are kept. See `open_text` and `split`.
    """

    sources: tuple[Source, ...]
    raw: bool
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def part(self, start: int, end: int) -> "Text":
        """Returns characters `start` to `end` of this text."""
        return replace(self, start=self.start + start, end=min(self.start + end, self.end))

    def blocks(self, block_size: int = BLOCK) -> Iterator[str]:
        """The text in pieces of at most `block_size` bytes."""
        for _, blocks in self.files(block_size):
            yield from blocks

    def files(self, block_size: int = BLOCK) -> Iterator[tuple[Path, Iterator[str]]]:
        """Iterates over the files of the text, each with its pieces."""
        begin = 0
        for source in self.sources:
            first, last = max(self.start - begin, 0), min(self.end - begin, source.characters)
            if first < last:
                yield source.path, _between(source, self.raw, block_size, first, last)
            begin += source.characters


def open_text(paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], *, raw: bool = False) -> Text:
    """Opens files as one text; each file is read once to check it and count its characters.

    If a file does not end with a newline, one is added before the next file. A byte order mark at the start of a UTF-8
    file is dropped.

    Args:
        paths: one file or several, in order.
        raw: keep every byte, for the tokenizer `byte`: nothing is dropped, and a byte that is not UTF-8 becomes a
            surrogate escape (U+DC80 to U+DCFF) instead of an error.

    Raises:
        InputError: there are no files, or one does not exist, is a folder, is unreadable, empty, not text (an archive,
            UTF-16, …) or not UTF-8 (with the byte offset).
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    files = [Path(path) for path in paths]
    if not files:
        raise InputError("no files to read: name at least one text file.")
    for path in files:
        check_file(path)
        if not raw:
            _check_text(path)
    sources = []
    for place, path in enumerate(files, start=1):
        characters, ends = _measure(path, raw)
        joined = not ends and place < len(files)
        sources.append(Source(path, characters + joined, joined))
    return Text(tuple(sources), raw, 0, sum(source.characters for source in sources))


def chunks(blocks: Iterable[str], cut: Callable[[str], int], *, where: Path) -> Iterator[str]:
    """Divides a text only where `cut` allows it, so that the encoding does not depend on the borders of blocks.

    Args:
        blocks: a text in pieces.
        cut: returns the length of the prefix of a string whose encoding does not depend on what follows it
            (`Tokenizer.cut`). For a string longer than `LONGEST_WORD` without such a position, it returns where to cut
            anyway, or 0 to refuse it.
        where: the file, for error messages.

    Raises:
        InputError: a word has more than a million characters.
    """
    pending_text = ""
    for block in blocks:
        pending_text += block
        # In steps of fixed length, so that forced cuts do not depend on the blocks either.
        while len(pending_text) > LONGEST_WORD:
            end = cut(pending_text[: LONGEST_WORD + 1])
            if not end:
                raise InputError(
                    f"{where}: more than {LONGEST_WORD:,} characters without whitespace, expected words separated by "
                    "spaces. Use --unit bpe, --unit char or --unit byte."
                )
            yield pending_text[:end]
            pending_text = pending_text[end:]
        end = cut(pending_text)
        if end:
            yield pending_text[:end]
            pending_text = pending_text[end:]
    if pending_text:
        yield pending_text


def check_file(path: Path) -> None:
    """Checks that a path is a regular file that is not empty.

    Raises:
        InputError: it is not; the message gives the reason.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a text file. Name its files, for example {path / '*.txt'}.")
    if not path.exists():
        raise InputError(f"{path}: no such file.")
    if not path.is_file():
        raise InputError(f"{path}: not a regular file, and it is read more than once. Save it to a file first.")
    if not path.stat().st_size:
        raise InputError(f"{path}: the file is empty, expected text.")


def _check_text(path: Path) -> None:
    """Refuses files that are not text, by their first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None
    refuse_foreign(head, str(path))


def _measure(path: Path, raw: bool) -> tuple[int, bool]:
    """The number of characters of a file, and whether the last one is a newline."""
    characters, last = 0, ""
    for block in _decode(path, raw, BLOCK):
        characters += len(block)
        last = block[-1]
    if not characters:
        raise InputError(f"{path}: only a byte order mark, expected text.")
    return characters, last == "\n"


def _decode(path: Path, raw: bool, block_size: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape" if raw else "strict")
    offset, started = 0, raw
    try:
        with path.open("rb") as file:
            while True:
                data = file.read(block_size)
                pending = len(decoder.getstate()[0])
                block = decoder.decode(data, final=not data)
                if block and not started:
                    block, started = block.removeprefix("\ufeff"), True
                if block:
                    yield block
                if not data:
                    return
                offset += len(data)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise InputError(
            f"{path}: not UTF-8: byte {offset - pending + error.start} is 0x{byte:02x} ({error.reason}). "
            "Convert the file, or use --unit byte."
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None


def _between(source: Source, raw: bool, block_size: int, first: int, last: int) -> Iterator[str]:
    """Characters `first` to `last` of one file."""
    place = 0
    for block in _with_newline(source, raw, block_size):
        piece = block[max(first - place, 0) : last - place]
        place += len(block)
        if piece:
            yield piece
        if place >= last:
            return
    raise InputError(f"{source.path}: has {place} characters, had {last} or more when first read. Keep it unchanged.")


def _with_newline(source: Source, raw: bool, block_size: int) -> Iterator[str]:
    yield from _decode(source.path, raw, block_size)
    if source.joined:
        yield "\n"
