"""The interface of tokenizers, used by corpora, tasks and generation."""

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
    """A text from which a vocabulary is built: a `Text`, or one side of pairs."""

    @property
    def raw(self) -> bool:
        """True if every byte is kept, for the tokenizer `byte`."""
        ...

    def blocks(self) -> Iterator[str]:
        """The text in pieces."""
        ...

    def files(self, block_size: int = ..., /) -> Iterator[tuple[Path, Iterator[str]]]:
        """The text in pieces by file; `block_size` is the approximate size of a piece."""
        ...


class Decoder(Protocol):
    """Converts ids to text one id at a time, withholding incomplete characters."""

    def push(self, token: int) -> str:
        """Returns the text that id `token` completes; empty while bytes of a character are missing."""
        ...

    def flush(self) -> str:
        """Returns the withheld rest: an incomplete character becomes U+FFFD."""
        ...


class Tokenizer(Protocol):
    """Converts text to integer ids in [0, size) and back."""

    @property
    def name(self) -> str:
        """`char`, `byte`, `word` or `bpe`."""
        ...

    @property
    def raw(self) -> bool:
        """True if files are read byte for byte, valid UTF-8 or not (`open_text(…, raw=True)`)."""
        ...

    @property
    def per_character(self) -> bool:
        """True if each id is one character, so that bits per id are bits per character."""
        ...

    @property
    def size(self) -> int:
        """Number of ids."""
        ...

    @property
    def unknown_id(self) -> int | None:
        """The id of symbols outside the vocabulary; None if there are none."""
        ...

    def encode(self, text: str) -> Ids:
        """Returns the ids of `text`, (N,) int64."""
        ...

    def decode(self, ids: npt.ArrayLike) -> str:
        """Returns the text of `ids`, (N,) integers."""
        ...

    def decoder(self) -> Decoder:
        """Returns a decoder for single ids; push the ids of a prompt first if the text continues a prompt."""
        ...

    def symbol(self, token: int) -> str:
        """Returns the text of id `token` for display; bytes of incomplete characters as hexadecimal."""
        ...

    def characters(self, ids: npt.ArrayLike) -> int:
        """Returns the number of characters of `ids`, to convert a loss per id to one per character."""
        ...

    def missing(self, text: str) -> list[str]:
        """Returns the symbols of `text` that `encode` maps to `unknown_id`, in order, with repetitions."""
        ...

    def missing_places(self, text: str) -> Ids:
        """Returns the positions of `missing(text)` in the ids of `text`, ascending; without a literal `<unk>`."""
        ...

    def spelling_nats(self, symbol: str) -> float:
        """Returns the nats to spell a symbol of `missing`, which the loss of `unknown_id` does not include."""
        ...

    def cut(self, text: str) -> int:
        """Returns the number of leading characters of `text` whose ids do not depend on what follows."""
        ...

    def files(self) -> dict[str, str]:
        """Returns the tokenizer as file names and their JSON text, equal for equal tokenizers."""
        ...

    def save(self, folder: Path) -> None:
        """Writes `files()` into an existing folder, for `load_tokenizer`."""
        ...


def write_files(files: dict[str, str], folder: Path) -> None:
    """Writes each text under its name into `folder` as UTF-8."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def fingerprint(tokenizer: Tokenizer) -> str:
    """Returns the sha256 of a tokenizer's files, in hexadecimal: equal for tokenizers that encode text equally."""
    digest = hashlib.sha256()
    for name, text in sorted(tokenizer.files().items()):
        digest.update(f"{name}\0{text}\0".encode())
    return digest.hexdigest()


def tokenizer_json(name: str, **fields: object) -> str:
    """Returns the content of a `unit.json`."""
    return json.dumps({"format": FORMAT, "unit": name, **fields}, ensure_ascii=False, indent=0) + "\n"


def symbols_of(fields: dict[str, object], path: Path) -> list[str]:
    """Returns the field `symbols` of a `unit.json`: one or more different strings, none empty.

    Raises:
        InputError: the field is missing or invalid; the message names the file.
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
    """Returns the sum of table[ids], computed in blocks, so that a memory-mapped `ids` needs constant memory."""
    array = np.asarray(ids)
    return sum(int(table[array[start : start + _BLOCK]].sum()) for start in range(0, len(array), _BLOCK))
