"""What every unit of text offers: the contract that corpora, tasks and generation rely on."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from recurra.errors import InputError

Ids = npt.NDArray[np.int64]

TOKENIZER_JSON = "unit.json"
FORMAT = 1
_BLOCK = 1 << 20


class Readable(Protocol):
    """What a vocabulary is taken from: a `Text`, or one side of pairs."""

    @property
    def raw(self) -> bool:
        """True where every byte is kept, for the unit `byte`."""
        ...

    def blocks(self) -> Iterator[str]:
        """The text in pieces."""
        ...

    def files(self, block_size: int = ..., /) -> Iterator[tuple[Path, Iterator[str]]]:
        """The text in pieces, file by file; `block_size` is about how much a piece holds."""
        ...


class Decoder(Protocol):
    """Ids to text, one id at a time, holding back what is not yet whole."""

    def push(self, token: int) -> str:
        """The text that id `token` completes; empty while a character is still missing bytes."""
        ...

    def flush(self) -> str:
        """What was held back to the end: an unfinished character becomes U+FFFD."""
        ...


class Tokenizer(Protocol):
    """What a text is cut into: a mapping between text and integer ids in [0, size)."""

    @property
    def name(self) -> str:
        """`char`, `byte`, `word` or `bpe`."""
        ...

    @property
    def raw(self) -> bool:
        """True where files are read byte for byte, valid UTF-8 or not (`open_text(…, raw=True)`)."""
        ...

    @property
    def per_character(self) -> bool:
        """True where one id is one character, so that a loss in bits per id is one in bits per character."""
        ...

    @property
    def size(self) -> int:
        """How many ids there are."""
        ...

    @property
    def unknown_id(self) -> int | None:
        """The id of text outside the vocabulary; None where nothing is outside."""
        ...

    def encode(self, text: str) -> Ids:
        """The ids of `text`, (N,) int64."""
        ...

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of `ids`, (N,) integers."""
        ...

    def decoder(self) -> Decoder:
        """A decoder for ids that arrive one by one; push a prompt's ids first if the text continues a prompt."""
        ...

    def symbol(self, token: int) -> str:
        """What id `token` spells, for display; bytes that are no whole character as hexadecimal."""
        ...

    def characters(self, ids: npt.ArrayLike) -> int:
        """How many characters `ids` decode to, so that a loss per id can be told per character."""
        ...

    def missing(self, text: str) -> list[str]:
        """The symbols of `text` that `encode` turns into `unknown_id`, in order, with repetitions."""
        ...

    def missing_places(self, text: str) -> Ids:
        """Where the symbols of `missing(text)` are among the ids of `text`, ascending; a spelled `<unk>` is not one."""
        ...

    def spelling_nats(self, symbol: str) -> float:
        """What it costs to spell a symbol of `missing`, in nats: what a loss of `unknown_id` leaves out."""
        ...

    def cut(self, text: str) -> int:
        """How many leading characters of `text` encode to the same ids whatever follows them."""
        ...

    def files(self) -> dict[str, str]:
        """The unit as file names and their JSON text, the same for equal units."""
        ...

    def save(self, folder: Path) -> None:
        """Write `files()` into an existing folder, for `load_tokenizer`."""
        ...


def write_files(files: dict[str, str], folder: Path) -> None:
    """Write each text under its name into `folder` as UTF-8."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def fingerprint(tokenizer: Tokenizer) -> str:
    """The sha256 of a unit's files, in hexadecimal: two units agree in it if and only if they cut text alike."""
    digest = hashlib.sha256()
    for name, text in sorted(tokenizer.files().items()):
        digest.update(f"{name}\0{text}\0".encode())
    return digest.hexdigest()


def tokenizer_json(name: str, **fields: object) -> str:
    """The text of a `tokenizer.json`."""
    return json.dumps({"format": FORMAT, "unit": name, **fields}, ensure_ascii=False, indent=0) + "\n"


def symbols_of(fields: dict[str, object], path: Path) -> list[str]:
    """The field `symbols` of a `tokenizer.json`: at least one string, none empty, none twice.

    Raises:
        InputError: the field is missing or otherwise; the message names the file.
    """
    symbols = fields.get("symbols")
    if not isinstance(symbols, list) or not symbols:
        raise InputError(f"{path}: 'symbols' is not a list of strings. Train again, or restore the file.")
    known: set[str] = set()
    for place, symbol in enumerate(symbols):
        if not isinstance(symbol, str) or not symbol or symbol in known:
            raise InputError(f"{path}: symbol {place} is {symbol!r}, expected a string that no other symbol equals.")
        known.add(symbol)
    return [*symbols]


def total(table: Ids, ids: npt.ArrayLike) -> int:
    """The sum of table[ids], in blocks, so that a memory-mapped `ids` of any length takes constant memory."""
    array = np.asarray(ids)
    return sum(int(table[array[start : start + _BLOCK]].sum()) for start in range(0, len(array), _BLOCK))
