"""The JSON header beside an encoded text: what the ids are and where they come from."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from recurra.errors import InputError
from recurra.files import read_object, replace_file

FORMAT = "recurra corpus 1"
_DTYPES = ("<u1", "<u2", "<u4")
# Fields that a header of an earlier version lacks.
_LATER = ("spelling",)


class Span(NamedTuple):
    """Tokens `start` to `end` come from the file `path`."""

    path: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Header:
    """What is known of an encoded text.

    Args:
        dtype: of the ids: `<u1`, `<u2` or `<u4`.
        tokens: how many ids.
        characters: how many characters they were encoded from.
        sha256: of the file of ids.
        unit_sha256: `fingerprint` of the unit that encoded it.
        unknown: how many ids stand for text outside the vocabulary.
        unknown_symbols: that text and how often it was met, the 20 most frequent.
        sources: the files, in order.
        spelling: nats that spelling that text costs (`Tokenizer.spelling_nats`), without the first token, which nothing
            predicts; None in a corpus of an earlier version, which did not count it.
    """

    dtype: str
    tokens: int
    characters: int
    sha256: str
    unit_sha256: str
    unknown: int
    unknown_symbols: tuple[tuple[str, int], ...]
    sources: tuple[Span, ...]
    spelling: float | None = None


def header_path(path: Path) -> Path:
    """Where the header of the corpus at `path` is."""
    return path.with_name(path.name + ".json")


def places_path(path: Path) -> Path:
    """Where the places of unknown tokens of the corpus at `path` are; no file where nothing is unknown."""
    return path.with_name(path.name + ".unknown")


def write_header(path: Path, header: Header) -> None:
    """Write the header of the corpus at `path`, aside and then renamed."""
    text = json.dumps({"format": FORMAT, **asdict(header)}, indent=1)  # in ASCII: names of files may be no UTF-8
    replace_file(header_path(path), f"{text}\n".encode())


def read_header(path: Path) -> Header:
    """The header of the corpus at `path`.

    Raises:
        InputError: it is missing, no JSON, or a field is missing or of another type.
    """
    target = header_path(path)
    fields = read_object(target, missing="encode the text again", mend="Encode the text again")
    if fields.pop("format", None) != FORMAT:
        raise InputError(f"{target}: not the header of a corpus ({FORMAT!r}). Encode the text again.")
    wrong = _wrong_field(fields)
    if wrong:
        raise InputError(f"{target}: {wrong!r} is missing, unknown or damaged. Encode the text again.")
    return Header(
        **fields
        | {
            "unknown_symbols": tuple((symbol, count) for symbol, count in fields["unknown_symbols"]),
            "sources": tuple(Span(*span) for span in fields["sources"]),
        }
    )


def _wrong_field(fields: dict[str, Any]) -> str | None:
    """The first field that is not what `Header` has there."""
    sound = {
        "dtype": lambda value: value in _DTYPES,
        "tokens": lambda value: _is_count(value) and value > 0,
        "characters": _is_count,
        "sha256": lambda value: isinstance(value, str),
        "unit_sha256": lambda value: isinstance(value, str),
        "unknown": _is_count,
        "unknown_symbols": lambda value: _is_rows(value, (str, int)),
        "sources": lambda value: _is_rows(value, (str, int, int)),
        "spelling": lambda value: value is None or (isinstance(value, float) and 0 <= value < math.inf),
    }
    for name in [*sound, *fields]:
        missing = name not in fields and name not in _LATER
        if name not in sound or missing or not sound[name](fields.get(name)):
            return name
    return None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_rows(value: object, types: tuple[type, ...]) -> bool:
    return isinstance(value, list) and all(isinstance(row, list) and tuple(map(type, row)) == types for row in value)
