"""A text encoded once into a memory-mapped file of ids, with a small JSON header beside it."""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.data.header import Header, Span, header_path, read_header, write_header
from recurra.data.text import BLOCK, Text, chunks
from recurra.data.units import Ids, Unit, fingerprint
from recurra.errors import InputError, RecurraError

_SHOWN_UNKNOWN = 20


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
    def open(cls, path: str | Path, unit: Unit) -> "Corpus":
        """The corpus that `encode` wrote to `path` with an equal unit.

        Raises:
            InputError: a file is missing, damaged or of another length than its header says, or the unit is another.
        """
        path = Path(path)
        header = read_header(path)
        if header.unit_sha256 != fingerprint(unit):
            raise InputError(
                f"{path}: was encoded with another vocabulary than this {unit.name} unit. Encode it again."
            )
        if not path.is_file():
            raise InputError(f"{path}: no such file, though its header is there. Encode the text again.")
        size, expected = path.stat().st_size, header.tokens * np.dtype(header.dtype).itemsize
        if size != expected:
            raise InputError(f"{path}: has {size} bytes, its header says {expected}. Encode the text again.")
        return cls(path, header)

    @cached_property
    def tokens(self) -> npt.NDArray[Any]:
        """The ids, (N,) uint8, uint16 or uint32, memory-mapped and read-only."""
        mapped = np.memmap(self.path, dtype=self.header.dtype, mode="r")
        # A plain view: slicing np.memmap itself costs microseconds a slice.
        return np.asarray(mapped)

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


def encode(text: Text, unit: Unit, path: str | Path, *, block_size: int = BLOCK) -> Corpus:
    """Encode a text in chunks into `path` and a header `path`.json, each written aside and then renamed.

    What is encoded does not depend on `block_size`; files are encoded apart, so that no token spans two.

    Args:
        text: what to encode, read in blocks and never held whole.
        unit: what to cut it into.
        path: the file to write; one that is there is replaced.
        block_size: how many bytes are read at a time.

    Raises:
        InputError: the text was not opened for this unit, or holds no token.
        RecurraError: the file could not be written; what was there before is left or gone, never half written.
    """
    path = Path(path)
    if text.raw != unit.raw:
        raise InputError(f"the text was opened with raw={text.raw}: the unit {unit.name!r} needs raw={unit.raw}.")
    aside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        header = _write_tokens(text, unit, aside, block_size)
        # The header vouches for the ids: it goes first and comes last.
        header_path(path).unlink(missing_ok=True)
        aside.replace(path)
        write_header(path, header)
    except OSError as error:
        raise RecurraError(f"{path}: the encoded text could not be written: {error.strerror}.") from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
    return Corpus(path, header)


@dataclass
class _Tally:
    """What is counted while a text is encoded."""

    tokens: int = 0
    characters: int = 0


def _write_tokens(text: Text, unit: Unit, aside: Path, block_size: int) -> Header:
    dtype = _dtype(unit.size)
    digest, tally, unknown, spans = hashlib.sha256(), _Tally(), Counter[str](), list[Span]()
    with aside.open("wb") as file:
        for source, blocks in text.files(block_size):
            start = tally.tokens
            for ids in _encoded(chunks(blocks, unit.cut, where=source), unit, tally, unknown):
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
        unit_sha256=fingerprint(unit),
        unknown=unknown.total(),
        # Counter.most_common leaves ties in the order met, which is the order of the text.
        unknown_symbols=tuple(unknown.most_common(_SHOWN_UNKNOWN)),
        sources=tuple(spans),
    )


def _encoded(pieces: Iterator[str], unit: Unit, tally: _Tally, unknown: Counter[str]) -> Iterator[Ids]:
    for piece in pieces:
        ids = unit.encode(piece)
        tally.characters += len(piece)
        tally.tokens += len(ids)
        if unit.unknown_id is not None and (ids == unit.unknown_id).any():
            unknown.update(unit.missing(piece))
        yield ids


def _dtype(size: int) -> str:
    if size <= 1 << 8:
        return "<u1"
    return "<u2" if size <= 1 << 16 else "<u4"
