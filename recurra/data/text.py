"""Files read as one text: checked first, then streamed in blocks, never held whole."""

import codecs
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recurra.data.formats import HEAD, refuse_foreign
from recurra.errors import InputError

# Bytes read at a time: large enough for NumPy to be busy, small enough to be nothing in memory.
BLOCK = 1 << 20
# Characters without a place to cut at that a unit of words reads before it gives up, and one of subwords before it cuts
# at any character.
LONGEST_WORD = 1 << 20


@dataclass(frozen=True)
class Source:
    """One file of a text.

    Args:
        path: the file.
        characters: how many characters it gives, the newline that joins it to the next file included.
        joined: whether that newline is added, because the file does not end with one and is not the last.
    """

    path: Path
    characters: int
    joined: bool = False


@dataclass(frozen=True)
class Text:
    """Characters `start` to `end` of several files one after the other; `len` is how many characters.

    Line ends are kept as they are. `open_text` makes one, `split` divides one.
    """

    sources: tuple[Source, ...]
    raw: bool
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def part(self, start: int, end: int) -> "Text":
        """Characters `start` to `end` of this text, as a text."""
        return replace(self, start=self.start + start, end=min(self.start + end, self.end))

    def blocks(self, block_size: int = BLOCK) -> Iterator[str]:
        """The text in pieces of at most `block_size` bytes."""
        for _, blocks in self.files(block_size):
            yield from blocks

    def files(self, block_size: int = BLOCK) -> Iterator[tuple[Path, Iterator[str]]]:
        """Each file that the text touches, with the pieces of it that belong to the text."""
        begin = 0
        for source in self.sources:
            first, last = max(self.start - begin, 0), min(self.end - begin, source.characters)
            if first < last:
                yield source.path, _between(source, self.raw, block_size, first, last)
            begin += source.characters


def open_text(paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], *, raw: bool = False) -> Text:
    """The files as one text, each read once from end to end to check it and count its characters.

    A file that does not end with a newline gets one before the next file, so that documents do not run together. A
    byte order mark at the start of a UTF-8 file is dropped.

    Args:
        paths: one file or several, in order.
        raw: keep every byte, for the unit `byte`: nothing is dropped, and a byte that is not UTF-8 becomes a surrogate
            escape (U+DC80 to U+DCFF) instead of an error.

    Raises:
        InputError: no files, or one that is missing, a folder, unreadable, empty, no text (an archive, UTF-16, …) or
            not UTF-8 (with the byte offset).
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
    """The same text cut only where `cut` allows, so that what is encoded does not depend on where a block ended.

    Args:
        blocks: a text in pieces.
        cut: how much of the start of a string may be encoded whatever follows it (`Tokenizer.cut`); of one longer than
            `LONGEST_WORD` in which there is no such place, where it is to be cut all the same, or 0 for nowhere.
        where: the file, for the error.

    Raises:
        InputError: a word of more than a million characters.
    """
    held = ""
    for block in blocks:
        held += block
        # In steps of one length: where a text without a place to cut at is cut must not depend on the blocks.
        while len(held) > LONGEST_WORD:
            end = cut(held[: LONGEST_WORD + 1])
            if not end:
                raise InputError(
                    f"{where}: more than {LONGEST_WORD:,} characters without whitespace, expected words apart by "
                    "spaces. Use --unit bpe, --unit char or --unit byte."
                )
            yield held[:end]
            held = held[end:]
        end = cut(held)
        if end:
            yield held[:end]
            held = held[end:]
    if held:
        yield held


def check_file(path: Path) -> None:
    """Refuses what is no file, is empty, or cannot be read twice.

    Raises:
        InputError: with the reason.
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
    """Refuses what is no text by its first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None
    refuse_foreign(head, str(path))


def _measure(path: Path, raw: bool) -> tuple[int, bool]:
    """How many characters a file has, and whether the last is a newline."""
    characters, last = 0, ""
    for block in _decoded(path, raw, BLOCK):
        characters += len(block)
        last = block[-1]
    if not characters:
        raise InputError(f"{path}: nothing but a byte order mark, expected text.")
    return characters, last == "\n"


def _decoded(path: Path, raw: bool, block_size: int) -> Iterator[str]:
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
    yield from _decoded(source.path, raw, block_size)
    if source.joined:
        yield "\n"
