"""The JSON header of an encoded text: its metadata and sources."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from recurra.errors import InputError
from recurra.files import read_object, replace_file

FORMAT = "recurra corpus 1"
_DTYPES = ("<u1", "<u2", "<u4")
# Fields that headers of earlier versions do not have.
_OPTIONAL = ("spelling",)


class SourceSpan(NamedTuple):
    """The tokens `start` to `end` that come from the file `path`."""

    path: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Header:
    """Metadata of an encoded text.

    Args:
        dtype: dtype of the ids: `<u1`, `<u2` or `<u4`.
        tokens: number of ids.
        characters: number of characters of the text.
        sha256: checksum of the file of ids.
        unit_sha256: `fingerprint` of the tokenizer.
        unknown: number of unknown tokens.
        unknown_symbols: the 20 most frequent unknown symbols with their counts.
        sources: the files, in order.
        spelling: nats to spell the unknown symbols (`Tokenizer.spelling_nats`), without the first token, which is not
            predicted; None in a corpus of an earlier version, which did not store it.
    """

    dtype: str
    tokens: int
    characters: int
    sha256: str
    unit_sha256: str
    unknown: int
    unknown_symbols: tuple[tuple[str, int], ...]
    sources: tuple[SourceSpan, ...]
    spelling: float | None = None


def header_path(path: Path) -> Path:
    """Returns the path of the header of the corpus at `path`."""
    return path.with_name(path.name + ".json")


def unknown_path(path: Path) -> Path:
    """Returns the path of the positions of unknown tokens of the corpus at `path`; no such file if there are none."""
    return path.with_name(path.name + ".unknown")


def write_header(path: Path, header: Header) -> None:
    """Writes the header of the corpus at `path` atomically."""
    text = json.dumps({"format": FORMAT, **asdict(header)}, indent=1)  # in ASCII: file names may not be valid UTF-8
    replace_file(header_path(path), f"{text}\n".encode())


def read_header(path: Path) -> Header:
    """Reads the header of the corpus at `path`.

    Raises:
        InputError: it is missing, not JSON, or a field is missing or of a wrong type.
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
            "sources": tuple(SourceSpan(*span) for span in fields["sources"]),
        }
    )


def _wrong_field(fields: dict[str, Any]) -> str | None:
    """The first field that is missing, unknown or of a wrong type."""
    checks = {
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
    for name in [*checks, *fields]:
        missing = name not in fields and name not in _OPTIONAL
        if name not in checks or missing or not checks[name](fields.get(name)):
            return name
    return None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_rows(value: object, types: tuple[type, ...]) -> bool:
    return isinstance(value, list) and all(isinstance(row, list) and tuple(map(type, row)) == types for row in value)
