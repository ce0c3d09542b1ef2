"""The symbols that a transcriber writes: characters or subwords, and the blank of CTC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recurra.data import CharTokenizer, Tokenizer, build_tokenizer, load_tokenizer
from recurra.errors import InputError
from recurra.tasks.transcriber.options import RecordingOptions

Ids = npt.NDArray[np.int64]

BLANK = 0
FILES = ("unit.json", "tokenizer.json")
_SUBWORDS = 512


class Alphabet:
    """The symbols of texts: the ids of a tokenizer with 0 as the blank.

    A character that the tokenizer does not know has no symbol, and is left out of encoded texts: id 0 of a
    `CharTokenizer`, its unknown character, is the blank here. Ids of subwords are increased by 1.

    Args:
        tokenizer: characters or subwords.
        lowercase: whether texts are read in lower case.
    """

    def __init__(self, tokenizer: Tokenizer, *, lowercase: bool = False) -> None:
        self.tokenizer, self.lowercase = tokenizer, lowercase
        self._shift = 0 if isinstance(tokenizer, CharTokenizer) else 1

    @property
    def size(self) -> int:
        """Number of symbols, the blank included."""
        return self.tokenizer.size + self._shift

    @cached_property
    def pieces(self) -> list[str]:
        """The text of each symbol; "" for the blank."""
        return ["", *(self.tokenizer.decode([number]) for number in range(1 - self._shift, self.tokenizer.size))]

    def clean(self, text: str) -> str:
        """Returns a text as it is learned and scored: words with single spaces between them."""
        words = " ".join(text.split())
        return words.lower() if self.lowercase else words

    def encode(self, text: str) -> Ids:
        """Returns the symbols (N,) int64 of a text, without unknown characters."""
        ids = self.tokenizer.encode(self.clean(text)) + self._shift
        return np.asarray(ids[ids != BLANK])

    def symbols(self, text: str) -> list[int]:
        """Returns the symbols of a text as a list."""
        return [int(number) for number in self.encode(text)]

    def decode(self, ids: npt.ArrayLike) -> str:
        """Returns the text of symbols (N,), as words with single spaces between them."""
        return " ".join(self.tokenizer.decode(np.asarray(ids, dtype=np.int64) - self._shift).split())

    def missing(self, text: str) -> list[str]:
        """Returns the unknown characters of a text, in order, with repetitions."""
        return self.tokenizer.missing(self.clean(text))

    def files(self) -> dict[str, str]:
        """Returns the files of the tokenizer, name to text."""
        return self.tokenizer.files()


class _Lines:
    """Texts as a `recurra.data.tokenizers.tokenizer.Readable`, one per line."""

    raw = False

    def __init__(self, texts: Iterable[str], name: str, *, joined: str) -> None:
        self._texts, self._name, self._joined = list(texts), name, joined

    def blocks(self) -> Iterator[str]:
        for text in self._texts:
            yield text + self._joined

    def files(self, block_size: int = 0, /) -> Iterator[tuple[Path, Iterator[str]]]:
        yield Path(self._name), self.blocks()


def build_alphabet(texts: Iterable[str], options: RecordingOptions, *, name: str) -> Alphabet:
    """Builds the alphabet of training texts.

    Args:
        texts: the texts.
        options: the symbols.
        name: of the file of the texts, for error messages.

    Raises:
        InputError: all texts are empty.
    """
    cleaned = [" ".join(text.lower().split() if options.lowercase else text.split()) for text in texts]
    if not any(cleaned):
        raise InputError(f"{name}: all texts are empty: there is nothing to learn")
    if options.unit == "char":
        # The space between words is a symbol even if every recording is one word: recordings are joined.
        lines = _Lines([*cleaned, *[" "] * options.min_count], name, joined="")
        tokenizer = build_tokenizer("char", lines, vocabulary_size=None, min_count=options.min_count)
    else:
        size = options.vocabulary_size or _SUBWORDS
        tokenizer = build_tokenizer("bpe", _Lines(cleaned, name, joined="\n"), vocabulary_size=size, min_count=1)
    return Alphabet(tokenizer, lowercase=options.lowercase)


def load_alphabet(folder: Path, *, lowercase: bool) -> Alphabet:
    """Loads the alphabet whose files are in a folder.

    Raises:
        InputError: a file is missing or damaged, or contains another kind of symbols.
    """
    tokenizer = load_tokenizer(folder)
    if tokenizer.name not in ("char", "bpe"):
        raise InputError(f"{folder / 'unit.json'}: unit is {tokenizer.name!r}, expected char or bpe")
    return Alphabet(tokenizer, lowercase=lowercase)
