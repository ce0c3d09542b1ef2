"""A text encoded once into a memory-mapped file of ids, with a small JSON header next to it."""

import contextlib
import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from recurra.data.header import Header, SourceSpan, header_path, read_header, unknown_path, write_header
from recurra.data.text import BLOCK, Text, chunks
from recurra.data.tokenizers import Ids, Tokenizer, fingerprint
from recurra.errors import InputError, RecurraError

_SHOWN_UNKNOWN = 20
_PLACE = np.dtype("<i8")


@dataclass(frozen=True)
class Corpus:
    """An encoded text on disk; `tokens` is memory-mapped, so that only accessed pages are read.

    Args:
        path: the file of ids, little-endian.
        header: its metadata: length, characters, unknown symbols, sources.
    """

    path: Path
    header: Header

    @classmethod
    def open(cls, path: str | Path, tokenizer: Tokenizer) -> "Corpus":
        """Opens the corpus that `encode` wrote to `path` with an equal tokenizer.

        Raises:
            InputError: a file is missing, damaged or of a different length than in its header, or the tokenizer is
                different.
        """
        path = Path(path)
        header = read_header(path)
        if header.unit_sha256 != fingerprint(tokenizer):
            raise InputError(
                f"{path}: was encoded with a different vocabulary than that of this {tokenizer.name} tokenizer. Encode "
                "it again."
            )
        if not path.is_file():
            raise InputError(f"{path}: no such file, although its header exists. Encode the text again.")
        _check_size(path, header.tokens * np.dtype(header.dtype).itemsize)
        if header.unknown and header.spelling is not None:
            _check_size(unknown_path(path), header.unknown * _PLACE.itemsize)
        return cls(path, header)

    @cached_property
    def tokens(self) -> npt.NDArray[Any]:
        """The ids, (N,) uint8, uint16 or uint32, memory-mapped and read-only."""
        mapped = np.memmap(self.path, dtype=self.header.dtype, mode="r")
        # As a plain array: slicing np.memmap itself costs microseconds per slice.
        return np.asarray(mapped)

    @cached_property
    def unknown_places(self) -> Ids | None:
        """Positions of unknown tokens, (U,) int64, ascending; memory-mapped and read-only.

        A literal `<unk>` in the text is not one of them. None for a corpus of an earlier version.
        """
        if not self.header.unknown:
            return np.zeros(0, dtype=np.int64)
        if self.header.spelling is None:
            return None
        return np.asarray(np.memmap(unknown_path(self.path), dtype=_PLACE, mode="r"))

    def __len__(self) -> int:
        return self.header.tokens

    @property
    def characters(self) -> int:
        """How many characters the text has."""
        return self.header.characters

    def verify(self) -> None:
        """Compares the checksum of the whole file with that in the header.

        Raises:
            InputError: they differ.
        """
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != self.header.sha256:
            raise InputError(f"{self.path}: its sha256 {digest[:12]}… is not the header's. Encode the text again.")


def encode(text: Text, tokenizer: Tokenizer, path: str | Path, *, block_size: int = BLOCK) -> Corpus:
    """Encodes a text in chunks into `path` with a header `path`.json; each is written to a temporary file and renamed.

    The positions of unknown tokens, if there are any, are written to `path`.unknown, 8 bytes each.

    The result does not depend on `block_size`. Files are encoded separately, so that no token spans two files.

    Args:
        text: the text, which is read in blocks and never held in memory as a whole.
        tokenizer: the tokenizer.
        path: the output file; an existing one is replaced.
        block_size: number of bytes to read at a time.

    Raises:
        InputError: the text was not opened for this tokenizer, or has no token.
        RecurraError: the file cannot be written; an existing corpus is then complete or removed, never damaged.
    """
    path = Path(path)
    if text.raw != tokenizer.raw:
        raise InputError(
            f"the text was opened with raw={text.raw}: the tokenizer {tokenizer.name!r} needs raw={tokenizer.raw}."
        )
    partial, places = (one.with_name(one.name + ".part") for one in (path, unknown_path(path)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        header = _write_tokens(text, tokenizer, partial, places, block_size)
        # A header implies complete ids: it is removed before they are replaced, and written after.
        header_path(path).unlink(missing_ok=True)
        unknown_path(path).unlink(missing_ok=True)
        partial.replace(path)
        if header.unknown:
            places.replace(unknown_path(path))
        write_header(path, header)
    except OSError as error:
        raise RecurraError(f"{path}: the encoded text could not be written: {error.strerror}.") from error
    finally:
        for leftover in (partial, places):
            with contextlib.suppress(OSError):
                leftover.unlink(missing_ok=True)
    return Corpus(path, header)


@dataclass
class _EncodingCounts:
    """Counts kept while a text is encoded."""

    tokens: int = 0
    characters: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    first: str | None = None
    """The symbol of the first token, if it is unknown."""

    def spelling(self, tokenizer: Tokenizer) -> float:
        """Nats to spell all unknown symbols except the first token's, which no prediction covers."""
        costs = [count * tokenizer.spelling_nats(symbol) for symbol, count in self.unknown.items()]
        return math.fsum([*costs, 0.0 if self.first is None else -tokenizer.spelling_nats(self.first)])


def _write_tokens(text: Text, tokenizer: Tokenizer, partial: Path, partial_places: Path, block_size: int) -> Header:
    dtype = _dtype(tokenizer.size)
    digest, counts, spans = hashlib.sha256(), _EncodingCounts(), list[SourceSpan]()
    with partial.open("wb") as file, partial_places.open("wb") as places:
        for source, blocks in text.files(block_size):
            start = counts.tokens
            for ids in _encoded(chunks(blocks, tokenizer.cut, where=source), tokenizer, counts, places):
                data = ids.astype(dtype).tobytes()
                digest.update(data)
                file.write(data)
            spans.append(SourceSpan(str(source), start, counts.tokens))
    if not counts.tokens:
        raise InputError(f"{text.sources[0].path}: only whitespace, expected words. Give more text.")
    return Header(
        dtype=dtype,
        tokens=counts.tokens,
        characters=counts.characters,
        sha256=digest.hexdigest(),
        unit_sha256=fingerprint(tokenizer),
        unknown=counts.unknown.total(),
        # Counter.most_common keeps ties in order of insertion, which is the order of the text.
        unknown_symbols=tuple(counts.unknown.most_common(_SHOWN_UNKNOWN)),
        sources=tuple(spans),
        spelling=max(0.0, counts.spelling(tokenizer)),
    )


def _encoded(pieces: Iterator[str], tokenizer: Tokenizer, counts: _EncodingCounts, places: BinaryIO) -> Iterator[Ids]:
    for piece in pieces:
        ids = tokenizer.encode(piece)
        if tokenizer.unknown_id is not None and (ids == tokenizer.unknown_id).any():
            missing, found = tokenizer.missing(piece), tokenizer.missing_places(piece) + counts.tokens
            counts.unknown.update(missing)
            if len(found) and found[0] == 0:
                counts.first = missing[0]
            places.write(found.astype(_PLACE).tobytes())
        counts.characters += len(piece)
        counts.tokens += len(ids)
        yield ids


def _check_size(path: Path, expected: int) -> None:
    size = path.stat().st_size if path.is_file() else 0
    if size != expected:
        raise InputError(f"{path}: has {size} bytes, its header says {expected}. Encode the text again.")


def _dtype(size: int) -> str:
    if size <= 1 << 8:
        return "<u1"
    return "<u2" if size <= 1 << 16 else "<u4"
