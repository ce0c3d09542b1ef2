"""The subword tokenizer: byte-level byte-pair encoding, trained and run by the tokenizers library."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from recurra.data.text import LONGEST_WORD, chunks
from recurra.data.tokenizers.byte import SpellingDecoder
from recurra.data.tokenizers.spelling import byte_nats
from recurra.data.tokenizers.tokenizer import TOKENIZER_JSON, Decoder, Ids, Readable, tokenizer_json, total, write_files
from recurra.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER_FILE = "tokenizer.json"
DEFAULT_SIZE = 4096
# tokenizers collects 256 pieces before it counts them: small pieces limit that to 16 MiB.
_TRAINING_BLOCK = 1 << 16
# A pair of symbols that occurs once is not merged.
_MIN_PAIRS = 2
# Maximal characters without a space in training: tokenizers moves the rest of a word at each merge, which is quadratic.
_LONGEST_RUN = 2048
_LONG_RUN = re.compile(rf"[^ \n\r\t]{{{_LONGEST_RUN + 1}}}")
_BEFORE_MARK = re.compile(r"[^\W\d_](?=[.,;:!?()\[\]{}\"。．、，；：！？「」『』（）《》“”…])")
# Whitespace for both Python and the splitting pattern of tokenizers, which disagree about rarer characters.
_TO_LAST_WORD = re.compile(r".*\S(?=[ \n\r\t])", re.DOTALL)


class BpeTokenizer:
    """Byte-level byte-pair encoding: 256 bytes and the most frequent merged pairs; no text is unknown.

    Sennrich et al. 2016 (arXiv:1508.07909), over bytes and with GPT-2's rule that a merge never crosses from a word
    to the space after it.

    Args:
        tokenizer: a byte-level BPE of the tokenizers library that has every byte and no special tokens.
    """

    name = "bpe"
    raw = False
    per_character = False
    unknown_id = None

    def __init__(self, tokenizer: "Tokenizer") -> None:
        self._tokenizer = tokenizer
        vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        values = _byte_values()
        self._spelling = [bytes(values[letter] for letter in token) for token, _ in vocabulary]
        begins = [sum((byte & 0xC0) != 0x80 for byte in token) for token in self._spelling]
        self._begins = np.array(begins, dtype=np.int64)

    @property
    def size(self) -> int:
        """Number of ids."""
        return len(self._spelling)

    def encode(self, text: str) -> Ids:
        """The ids of `text`, (N,) int64."""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"character {error.start} of the text, {text[error.start]!r}, has no UTF-8 form."
            ) from None
        return np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, dtype=np.int64)

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of `ids`, (N,) integers; bytes that are not UTF-8 become U+FFFD."""
        return b"".join(self._spelling[token] for token in np.asarray(ids)).decode("utf-8", "replace")

    def decoder(self) -> Decoder:
        """Returns a decoder that withholds incomplete UTF-8 sequences."""
        return SpellingDecoder(self._spelling)

    def symbol(self, token: int) -> str:
        """The text of id `token`; bytes of incomplete characters in hexadecimal."""
        return self._spelling[token].decode("utf-8", "backslashreplace")

    def characters(self, ids: npt.ArrayLike) -> int:
        """How many UTF-8 characters `ids` are: the bytes that do not continue one."""
        return total(self._begins, ids)

    def missing(self, text: str) -> list[str]:
        """Nothing: every byte is known."""
        return []

    def missing_places(self, text: str) -> Ids:
        """None: every byte is known."""
        return np.zeros(0, dtype=np.int64)

    def spelling_nats(self, symbol: str) -> float:
        """8 bits per byte; no text has such a symbol."""
        return byte_nats(symbol)

    def cut(self, text: str) -> int:
        """Number of leading characters whose ids do not depend on what follows: up to the last word before a space.

        If there is none in more than `LONGEST_WORD` characters, as in a Japanese book in one line, all characters: the
        text is cut at an arbitrary character rather than refused, which changes about one subword in a million.
        """
        return _before_space(text)

    def files(self) -> dict[str, str]:
        """`unit.json` with the size, and `tokenizer.json` of the tokenizers library."""
        tokenizer = self._tokenizer.to_str(pretty=True)
        return {"unit.json": tokenizer_json(self.name, size=self.size), TOKENIZER_FILE: tokenizer}

    def save(self, folder: Path) -> None:
        """Writes `unit.json` and `tokenizer.json` into an existing folder."""
        write_files(self.files(), folder)


def build_bpe(text: Readable, *, vocabulary_size: int = DEFAULT_SIZE) -> BpeTokenizer:
    """Trains byte-pair encoding on `text`, read in blocks; the result depends only on the text.

    Args:
        text: the training text.
        vocabulary_size: number of ids, 256 bytes included; fewer if the text has fewer repeated pairs.
    """
    from tokenizers.trainers import BpeTrainer

    tokenizer = _untrained()
    trainer = BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=_MIN_PAIRS,
        initial_alphabet=sorted(_byte_values()),
        special_tokens=[],
        show_progress=False,
    )
    tokenizer.train_from_iterator(_pieces(text), trainer)
    return BpeTokenizer(tokenizer)


def read_bpe(fields: dict[str, object], path: Path) -> BpeTokenizer:
    """Reads the tokenizer from the fields of `unit.json` and the `tokenizer.json` in the same folder.

    Raises:
        InputError: a file is damaged, or `tokenizer.json` is not a byte-level BPE as built by `build_bpe`.
    """
    from tokenizers import Tokenizer

    file = path.with_name(path.name.removesuffix(TOKENIZER_JSON) + TOKENIZER_FILE)
    try:
        text = file.read_text(encoding="utf-8")
        tokenizer = Tokenizer.from_str(text)
    except FileNotFoundError:
        raise InputError(f"{file}: no such file. Train again, or restore it.") from None
    except Exception as error:  # tokenizers raises bare Exception
        raise InputError(f"{file}: not a tokenizer ({error}). Train again, or restore it.") from None
    expected, content = json.loads(_untrained().to_str()), json.loads(text)
    expected["model"]["vocab"], expected["model"]["merges"] = content["model"]["vocab"], content["model"]["merges"]
    if expected != content:
        different = next(key for key in {**expected, **content} if expected.get(key) != content.get(key))
        raise InputError(f"{file}: {different!r} is not that of a byte-level BPE made by recurra.")
    _check_vocabulary(tokenizer.get_vocab(), fields, path, file)
    return BpeTokenizer(tokenizer)


def _check_vocabulary(vocabulary: dict[str, int], fields: dict[str, object], path: Path, file: Path) -> None:
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise InputError(f"{file}: the ids of its {len(vocabulary)} tokens are not 0, 1, 2, ….")
    alphabet = _byte_values().keys()
    if alphabet - vocabulary.keys() or not all(set(token) <= alphabet for token in vocabulary):
        raise InputError(f"{file}: its tokens are not the 256 bytes and strings of them.")
    if fields.get("size") != len(vocabulary):
        raise InputError(f"{path}: 'size' is {fields.get('size')!r}, but {file.name} has {len(vocabulary)} tokens.")


def _untrained() -> "Tokenizer":
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _pieces(text: Readable) -> Iterator[str]:
    for path, blocks in text.files(_TRAINING_BLOCK):
        for piece in chunks(blocks, _before_space, where=path):
            yield from _without_long_runs(piece)


def _without_long_runs(piece: str) -> Iterator[str]:
    """Divides a piece of text at long runs without spaces, because training time is quadratic in the word length.

    A run is cut where the tokenizer's pattern splits it anyway, before a punctuation mark after a letter. Only if there
    is none, as in DNA, the counts of pairs change, by the pair that is cut.
    """
    start = 0
    while run := _LONG_RUN.search(piece, start):
        marks = list(_BEFORE_MARK.finditer(piece, run.start(), run.start() + _LONGEST_RUN))
        end = marks[-1].end() if marks else run.start() + _LONGEST_RUN
        yield piece[start:end]
        start = end
    if start < len(piece):
        yield piece[start:]


def _before_space(text: str) -> int:
    # The pattern always splits between a word and the space after it, independently of both sides. Inside a run of
    # spaces it does not: the last space belongs to the next word.
    match = _TO_LAST_WORD.match(text)
    if match:
        return match.end()
    return len(text) if len(text) > LONGEST_WORD else 0


def _byte_values() -> dict[str, int]:
    """The character of each byte in a byte-level tokenizer: printable Latin-1 itself, the others from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}
