"""The byte tokenizer: 256 ids, no unknown symbols, any file."""

import codecs
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recurra.data.tokenizers.spelling import byte_nats
from recurra.data.tokenizers.tokenizer import Decoder, Ids, tokenizer_json, total, write_files
from recurra.errors import InputError

# Every byte that does not continue a UTF-8 character begins one.
_BEGINS = np.array([(byte & 0xC0) != 0x80 for byte in range(256)], dtype=np.int64)


class ByteTokenizer:
    """Bytes: the id of a byte is its value.

    A byte that is not UTF-8 is represented in a `str` by Python's surrogate escape (U+DC80 to U+DCFF), as in file names
    and command lines; `encode` converts it back to the byte. `decode` returns U+FFFD for it.
    """

    name = "byte"
    raw = True
    per_character = False
    size = 256
    unknown_id = None

    def encode(self, text: str) -> Ids:
        """The UTF-8 bytes of `text`, (N,) int64."""
        try:
            data = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise InputError(
                f"character {error.start} of the text, {text[error.start]!r}, has no UTF-8 form."
            ) from None
        return np.frombuffer(data, dtype=np.uint8).astype(np.int64)

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of `ids`, (N,) integers; bytes that are not UTF-8 become U+FFFD."""
        return np.asarray(ids).astype(np.uint8).tobytes().decode("utf-8", "replace")

    def decoder(self) -> Decoder:
        """Returns a decoder that withholds incomplete UTF-8 sequences."""
        return SpellingDecoder([bytes([byte]) for byte in range(256)])

    def symbol(self, token: int) -> str:
        """The ASCII character of byte `token`, or its value in hexadecimal."""
        return bytes([token]).decode("utf-8", "backslashreplace")

    def characters(self, ids: npt.ArrayLike) -> int:
        """How many UTF-8 characters `ids` are: the bytes that do not continue one."""
        return total(_BEGINS, ids)

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
        """Number of leading characters whose ids do not depend on what follows: all."""
        return len(text)

    def files(self) -> dict[str, str]:
        """`unit.json` with the name only."""
        return {"unit.json": tokenizer_json(self.name)}

    def save(self, folder: Path) -> None:
        """Writes `unit.json` into an existing folder."""
        write_files(self.files(), folder)


class SpellingDecoder:
    """Decodes ids that represent bytes, withholding incomplete UTF-8 sequences; invalid bytes become U+FFFD.

    Args:
        spelling: the bytes of each id.
    """

    def __init__(self, spelling: list[bytes]) -> None:
        self._spelling = spelling
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The text that id `token` completes."""
        return self._decoder.decode(self._spelling[token])

    def flush(self) -> str:
        """U+FFFD for an incomplete last character, else nothing."""
        return self._decoder.decode(b"", final=True)
