"""Manifests: tables with a column of audio files or of feature files, and one of texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from recurra.data.audio.tables import Row, column_indices, read_rows
from recurra.data.audio.utterance import Utterance
from recurra.errors import InputError

_COLUMNS = ("audio", "features", "text", "start", "end", "speaker")


def is_manifest(header: Sequence[str]) -> bool:
    """Whether a table with these columns is a manifest."""
    return "audio" in header or "features" in header


def read_manifest(path: Path, header: Sequence[str], *, text: bool) -> list[Utterance]:
    """Reads a manifest: columns `audio` or `features`, `text`, and optionally `start`, `end` and `speaker`.

    Paths are relative to the folder of the manifest, times are in seconds, other columns are ignored.

    Args:
        path: the file.
        header: its column names, in lower case.
        text: whether it must have texts.

    Raises:
        InputError: a column is missing or in the table twice, or a row cannot be read; with the line's number.
    """
    columns = column_indices(path, header, _COLUMNS)
    if "audio" in columns and "features" in columns:
        raise InputError(f"{path}:1: columns audio and features, expected one of them")
    if text and "text" not in columns:
        raise InputError(f"{path}:1: no column text, only {', '.join(header)}")
    if "features" in columns and ("start" in columns or "end" in columns):
        raise InputError(f"{path}:1: columns start and end, but features have no seconds. Cut the files instead")
    utterances = [_utterance(path, row, columns) for row in read_rows(path)]
    if not utterances:
        raise InputError(f"{path}: no rows below the header")
    return utterances


def _utterance(path: Path, row: Row, columns: dict[str, int]) -> Utterance:
    place = f"{path}:{row.number}"
    values = {name: row.fields[column].strip() for name, column in columns.items()}
    kind = "features" if "features" in values else "audio"
    name = values[kind]
    if not name or "\0" in name:
        raise InputError(f"{place}: no file in column {kind}")
    start, end = _seconds(values.get("start"), "start", place), _seconds(values.get("end"), "end", place)
    check_segment(start, end, place)
    return Utterance(
        path=path.parent / name,
        text=values.get("text"),
        start=start,
        end=end,
        speaker=values.get("speaker") or None,
        place=place,
        name=name + segment_name(start, end),
        is_features=kind == "features",
    )


def segment_name(start: float | None, end: float | None) -> str:
    """Formats a segment for the name of an utterance; empty for a whole file."""
    if start is None and end is None:
        return ""
    return f" ({start or 0:g}–{'end' if end is None else f'{end:g} s'})"


def check_segment(start: float | None, end: float | None, place: str) -> None:
    """Checks that a segment ends after its start.

    Raises:
        InputError: it does not.
    """
    if end is not None and end <= (start or 0):
        raise InputError(f"{place}: end={end:g} s, expected more than start={start or 0:g} s")


def _seconds(text: str | None, name: str, place: str) -> float | None:
    return parse_seconds(text, name, place) if text else None


def parse_seconds(text: str, name: str, place: str) -> float:
    """Reads a time in seconds.

    Raises:
        InputError: it is not a finite number of 0 or more.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InputError(f"{place}: {name} is {text!r}, expected seconds such as 12.5")
    return seconds
