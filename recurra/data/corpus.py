"""A text encoded once into a memory-mapped file of ids, with a small JSON header beside it."""

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

from recurra.data.header import Header, Span, header_path, places_path, read_header, write_header
from recurra.data.text import BLOCK, Text, chunks
from recurra.data.tokenizers import Ids, Tokenizer, fingerprint
from recurra.errors import InputError, RecurraError

_SHOWN_UNKNOWN = 20
_PLACE = np.dtype("<i8")


@dataclass(frozen=True)
class Corpus:
    """An encoded text on disk; `tokens` reads the pages that are touched and no others.

    Args:
        path: the file of ids, little-endian.
        header: what is known of it: length, characters, unknown symbols, sources.
    """

    path: Path
    header: Header

    @classmethod
    def open(cls, path: str | Path, tokenizer: Tokenizer) -> "Corpus":
        """The corpus that `encode` wrote to `path` with an equal unit.

        Raises:
            InputError: a file is missing, damaged or of another length than its header says, or the unit is another.
        """
        path = Path(path)
        header = read_header(path)
        if header.unit_sha256 != fingerprint(tokenizer):
            raise InputError(
                f"{path}: was encoded with another vocabulary than this {tokenizer.name} unit. Encode it again."
            )
        if not path.is_file():
            raise InputError(f"{path}: no such file, though its header is there. Encode the text again.")
        _check_size(path, header.tokens * np.dtype(header.dtype).itemsize)
        if header.unknown and header.spelling is not None:
            _check_size(places_path(path), header.unknown * _PLACE.itemsize)
        return cls(path, header)

    @cached_property
    def tokens(self) -> npt.NDArray[Any]:
        """The ids, (N,) uint8, uint16 or uint32, memory-mapped and read-only."""
        mapped = np.memmap(self.path, dtype=self.header.dtype, mode="r")
        # A plain view: slicing np.memmap itself costs microseconds a slice.
        return np.asarray(mapped)

    @cached_property
    def unknown_places(self) -> Ids | None:
        """Where tokens stand for text outside the vocabulary, (U,) int64, ascending; memory-mapped and read-only.

        A `<unk>` that the text itself spells out is not among them. None in a corpus of an earlier version.
        """
        if not self.header.unknown:
            return np.zeros(0, dtype=np.int64)
        if self.header.spelling is None:
            return None
        return np.asarray(np.memmap(places_path(self.path), dtype=_PLACE, mode="r"))

    def __len__(self) -> int:
        return self.header.tokens

    @property
    def characters(self) -> int:
        """How many characters the text has."""
        return self.header.characters

    def verify(self) -> None:
        """Read the whole file and compare its checksum.

        Raises:
            InputError: the file is not what was written.
        """
        with self.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.header.sha256:
            raise InputError(f"{self.path}: its sha256 {found[:12]}… is not the header's. Encode the text again.")


def encode(text: Text, tokenizer: Tokenizer, path: str | Path, *, block_size: int = BLOCK) -> Corpus:
    """Encode a text in chunks into `path` and a header `path`.json, each written aside and then renamed.

    Where tokens are unknown, their places go into `path`.unknown, 8 bytes each.

    What is encoded does not depend on `block_size`; files are encoded apart, so that no token spans two.

    Args:
        text: what to encode, read in blocks and never held whole.
        tokenizer: what to cut it into.
        path: the file to write; one that is there is replaced.
        block_size: how many bytes are read at a time.

    Raises:
        InputError: the text was not opened for this unit, or holds no token.
        RecurraError: the file could not be written; what was there before is left or gone, never half written.
    """
    path = Path(path)
    if text.raw != tokenizer.raw:
        raise InputError(
            f"the text was opened with raw={text.raw}: the unit {tokenizer.name!r} needs raw={tokenizer.raw}."
        )
    aside, places = (one.with_name(one.name + ".part") for one in (path, places_path(path)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        header = _write_tokens(text, tokenizer, aside, places, block_size)
        # The header vouches for the ids: it goes first and comes last.
        header_path(path).unlink(missing_ok=True)
        places_path(path).unlink(missing_ok=True)
        aside.replace(path)
        if header.unknown:
            places.replace(places_path(path))
        write_header(path, header)
    except OSError as error:
        raise RecurraError(f"{path}: the encoded text could not be written: {error.strerror}.") from error
    finally:
        for leftover in (aside, places):
            with contextlib.suppress(OSError):
                leftover.unlink(missing_ok=True)
    return Corpus(path, header)


@dataclass
class _Tally:
    """What is counted while a text is encoded."""

    tokens: int = 0
    characters: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    first: str | None = None
    """The first token's symbol, where it is unknown."""

    def spelling(self, tokenizer: Tokenizer) -> float:
        """Nats of spelling all unknown symbols but the first token's."""
        costs = [count * tokenizer.spelling_nats(symbol) for symbol, count in self.unknown.items()]
        return math.fsum([*costs, 0.0 if self.first is None else -tokenizer.spelling_nats(self.first)])


def _write_tokens(text: Text, tokenizer: Tokenizer, aside: Path, aside_places: Path, block_size: int) -> Header:
    dtype = _dtype(tokenizer.size)
    digest, tally, spans = hashlib.sha256(), _Tally(), list[Span]()
    with aside.open("wb") as file, aside_places.open("wb") as places:
        for source, blocks in text.files(block_size):
            start = tally.tokens
            for ids in _encoded(chunks(blocks, tokenizer.cut, where=source), tokenizer, tally, places):
                data = ids.astype(dtype).tobytes()
                digest.update(data)
                file.write(data)
            spans.append(Span(str(source), start, tally.tokens))
    if not tally.tokens:
        raise InputError(f"{text.sources[0].path}: only whitespace, expected words. Give more text.")
    return Header(
        dtype=dtype,
        tokens=tally.tokens,
        characters=tally.characters,
        sha256=digest.hexdigest(),
        unit_sha256=fingerprint(tokenizer),
        unknown=tally.unknown.total(),
        # Counter.most_common leaves ties in the order met, which is the order of the text.
        unknown_symbols=tuple(tally.unknown.most_common(_SHOWN_UNKNOWN)),
        sources=tuple(spans),
        spelling=max(0.0, tally.spelling(tokenizer)),
    )


def _encoded(pieces: Iterator[str], tokenizer: Tokenizer, tally: _Tally, places: BinaryIO) -> Iterator[Ids]:
    for piece in pieces:
        ids = tokenizer.encode(piece)
        if tokenizer.unknown_id is not None and (ids == tokenizer.unknown_id).any():
            missing, found = tokenizer.missing(piece), tokenizer.missing_places(piece) + tally.tokens
            tally.unknown.update(missing)
            if len(found) and found[0] == 0:
                tally.first = missing[0]
            places.write(found.astype(_PLACE).tobytes())
        tally.characters += len(piece)
        tally.tokens += len(ids)
        yield ids


def _check_size(path: Path, expected: int) -> None:
    size = path.stat().st_size if path.is_file() else 0
    if size != expected:
        raise InputError(f"{path}: has {size} bytes, its header says {expected}. Encode the text again.")


def _dtype(size: int) -> str:
    if size <= 1 << 8:
        return "<u1"
    return "<u2" if size <= 1 << 16 else "<u4"
