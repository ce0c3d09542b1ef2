"""The word tokenizer: text split at whitespace, one sentence per line, as in the Penn Treebank files."""

import re
from collections import Counter
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recurra.data.text import chunks
from recurra.data.tokenizers.spelling import Spelling
from recurra.data.tokenizers.tokenizer import Decoder, Ids, Readable, symbols_of, tokenizer_json, total, write_files
from recurra.errors import InputError

UNKNOWN, END = "<unk>", "<eos>"
_TO_LAST_SPACE = re.compile(r".*\s", re.DOTALL)


class WordTokenizer:
    """Words: id 0 is `<unk>`, 1 is `<eos>`, the rest are words.

    Text is split at any whitespace; every newline is one `<eos>`, also of an empty line. A literal `<unk>` or `<eos>`
    in a text is that symbol. Decoding joins words by single spaces, so that runs of whitespace are not kept.

    Args:
        symbols: `<unk>`, `<eos>`, then the known words, none twice, none with whitespace.
    """

    name = "word"
    raw = False
    per_character = False
    unknown_id = 0
    end_id = 1

    def __init__(self, symbols: list[str]) -> None:
        self.symbols = tuple(symbols)
        self._ids = {symbol: token for token, symbol in enumerate(symbols)}
        self._lengths = np.array([len(symbol) for symbol in symbols], dtype=np.int64)
        self._lengths[self.end_id] = 1  # a newline

    @property
    def size(self) -> int:
        """Number of ids, `<unk>` and `<eos>` included."""
        return len(self.symbols)

    def encode(self, text: str) -> Ids:
        """The ids of the words and newlines of `text`, (N,) int64."""
        known = self._ids.get
        return np.array([known(word, 0) for word in _split(text)], dtype=np.int64)

    def decode(self, ids: npt.ArrayLike) -> str:
        """The words of `ids`, (N,) integers, joined by spaces; `<eos>` is a newline with no space around it."""
        decoder = _WordDecoder(self)
        return "".join(decoder.push(int(token)) for token in np.asarray(ids))

    def decoder(self) -> Decoder:
        """Returns a decoder at the start of a line: the first word has no space before it."""
        return _WordDecoder(self)

    def symbol(self, token: int) -> str:
        """The word of id `token`, `<eos>` for the end of a line."""
        return self.symbols[token]

    def characters(self, ids: npt.ArrayLike) -> int:
        """How many characters `ids` decode to, spaces and newlines included."""
        array = np.asarray(ids)
        words = array != self.end_id
        return total(self._lengths, array) + int(np.count_nonzero(words[1:] & words[:-1]))

    def missing(self, text: str) -> list[str]:
        """The words of `text` outside the vocabulary, in order, with repetitions."""
        return [word for word in _split(text) if word not in self._ids]

    def missing_places(self, text: str) -> Ids:
        """Where those words are, ascending; a `<unk>` that the text spells out is a known word."""
        places = [place for place, word in enumerate(_split(text)) if word not in self._ids]
        return np.array(places, dtype=np.int64)

    def spelling_nats(self, symbol: str) -> float:
        """-log p of the word's characters by a trigram of the vocabulary's words; see `Spelling`."""
        return self._spelling.nats(symbol)

    @cached_property
    def _spelling(self) -> Spelling:
        return Spelling(self.symbols[self.end_id + 1 :])

    def cut(self, text: str) -> int:
        """Number of leading characters whose ids do not depend on what follows: up to and with the last whitespace."""
        return _after_space(text)

    def files(self) -> dict[str, str]:
        """`unit.json` with the symbols."""
        return {"unit.json": tokenizer_json(self.name, symbols=self.symbols)}

    def save(self, folder: Path) -> None:
        """Writes `unit.json` into an existing folder."""
        write_files(self.files(), folder)


class _WordDecoder:
    def __init__(self, tokenizer: WordTokenizer) -> None:
        self._tokenizer = tokenizer
        self._line_start = True

    def push(self, token: int) -> str:
        if token == self._tokenizer.end_id:
            self._line_start = True
            return "\n"
        space = "" if self._line_start else " "
        self._line_start = False
        return space + self._tokenizer.symbols[token]

    def flush(self) -> str:
        return ""


def build_word(text: Readable, *, vocabulary_size: int | None = None, min_count: int = 1) -> WordTokenizer:
    """Builds the tokenizer of the words of `text` by decreasing frequency, then in alphabetical order.

    Args:
        text: the text, read in blocks.
        vocabulary_size: maximal number of ids, `<unk>` and `<eos>` included; the most frequent words are kept.
        min_count: words that occur less often are left out.
    """
    counts: Counter[str] = Counter()
    for path, blocks in text.files():
        for chunk in chunks(blocks, _after_space, where=path):
            counts.update(_split(chunk))
    for symbol in (UNKNOWN, END):
        counts.pop(symbol, None)
    words = sorted((word for word in counts if counts[word] >= min_count), key=lambda word: (-counts[word], word))
    if vocabulary_size is not None:
        words = words[: vocabulary_size - 2]
    if not words:
        raise InputError(f"min_count={min_count}: none of the {len(counts)} words occurs so often. Lower it.")
    return WordTokenizer([UNKNOWN, END, *words])


def read_word(fields: dict[str, object], path: Path) -> WordTokenizer:
    """Reads the tokenizer from the fields of `unit.json`.

    Raises:
        InputError: the first symbols are not `<unk>` and `<eos>`, or a symbol contains whitespace.
    """
    symbols = symbols_of(fields, path)
    if symbols[:2] != [UNKNOWN, END]:
        raise InputError(f"{path}: the first symbols are {symbols[:2]}, expected {[UNKNOWN, END]}.")
    for place, symbol in enumerate(symbols):
        if symbol.split() != [symbol]:
            raise InputError(f"{path}: symbol {place} is {symbol!r}, expected a word without whitespace.")
    return WordTokenizer(symbols)


def _after_space(text: str) -> int:
    match = _TO_LAST_SPACE.match(text)
    return match.end() if match else 0


def _split(text: str) -> list[str]:
    return text.replace("\n", f" {END} ").split()
