"""The character tokenizer: one id per Unicode code point."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from recurra.data.tokenizers.spelling import byte_nats
from recurra.data.tokenizers.tokenizer import Decoder, Ids, Readable, symbols_of, tokenizer_json, write_files
from recurra.errors import InputError

UNKNOWN = "<unk>"
# The decoded form of id 0: a single character, so that each id decodes to one character.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_CODE_POINTS = 0x110000


class CharTokenizer:
    """Characters: id 0 is a character outside the vocabulary, 1, 2, … are `symbols` in order of code point.

    Args:
        symbols: the known characters, sorted by code point, none twice.
    """

    name = "char"
    raw = False
    per_character = True
    unknown_id = 0

    def __init__(self, symbols: list[str]) -> None:
        self.symbols = tuple(symbols)
        self._codes = _code_points("".join(symbols))
        self._spelling = np.concatenate([_code_points(REPLACEMENT), self._codes])

    @property
    def size(self) -> int:
        """Number of ids: the known characters and one for unknown ones."""
        return len(self.symbols) + 1

    def encode(self, text: str) -> Ids:
        """The ids of `text`, (len(text),) int64; 0 for an unknown character."""
        codes = _code_points(text)
        place = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        return np.where(self._codes[place] == codes, place + 1, 0)

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of `ids`, (N,) integers; an unknown character is U+FFFD."""
        return self._spelling[np.asarray(ids, dtype=np.int64)].tobytes().decode("utf-32-le")

    def decoder(self) -> Decoder:
        """Returns a decoder."""
        return _CharDecoder(self)

    def symbol(self, token: int) -> str:
        """The character of id `token`, `<unk>` for 0."""
        return self.symbols[token - 1] if token else UNKNOWN

    def characters(self, ids: npt.ArrayLike) -> int:
        """How many characters `ids` are: as many as ids."""
        return len(np.asarray(ids))

    def missing(self, text: str) -> list[str]:
        """The characters of `text` outside the vocabulary, in order, with repetitions."""
        return [text[place] for place in self.missing_places(text)]

    def missing_places(self, text: str) -> Ids:
        """Where those characters are, ascending."""
        return np.flatnonzero(self.encode(text) == 0)

    def spelling_nats(self, symbol: str) -> float:
        """8 bits per byte of the character's UTF-8 form: 8 for ASCII, 16 to 32 for others."""
        return byte_nats(symbol)

    def cut(self, text: str) -> int:
        """Number of leading characters whose ids do not depend on what follows: all."""
        return len(text)

    def files(self) -> dict[str, str]:
        """`unit.json` with the symbols."""
        return {"unit.json": tokenizer_json(self.name, symbols=self.symbols)}

    def save(self, folder: Path) -> None:
        """Writes `unit.json` into an existing folder."""
        write_files(self.files(), folder)


class _CharDecoder:
    def __init__(self, tokenizer: CharTokenizer) -> None:
        self._tokenizer = tokenizer

    def push(self, token: int) -> str:
        return self._tokenizer.symbols[token - 1] if token else REPLACEMENT

    def flush(self) -> str:
        return ""


def build_char(text: Readable, *, min_count: int = 1) -> CharTokenizer:
    """Builds the tokenizer of the characters that occur at least `min_count` times in `text`, read in blocks."""
    counts = np.zeros(_CODE_POINTS, dtype=np.int64)
    for block in text.blocks():
        counts += np.bincount(_code_points(block), minlength=_CODE_POINTS)
    symbols = [chr(code) for code in np.flatnonzero(counts >= min_count)]
    if not symbols:
        most = chr(int(counts.argmax()))
        raise InputError(
            f"min_count={min_count}: no character occurs so often (the most frequent, {most!r}, "
            f"occurs {counts.max()} times). Lower it."
        )
    return CharTokenizer(symbols)


def read_char(fields: dict[str, object], path: Path) -> CharTokenizer:
    """Reads the tokenizer from the fields of `unit.json`.

    Raises:
        InputError: the symbols are not single characters in order of code point.
    """
    symbols = symbols_of(fields, path)
    for place, symbol in enumerate(symbols):
        if len(symbol) != 1 or (place and symbol < symbols[place - 1]):
            raise InputError(f"{path}: symbol {place} is {symbol!r}, expected one character, in order of code point.")
    return CharTokenizer(symbols)


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    # surrogatepass: a prompt from a shell may contain a lone surrogate, which becomes an unknown character.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
