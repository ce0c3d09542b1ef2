"""Kaldi's data folders: wav.scp, text, and optionally segments and utt2spk."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from recurra.data.audio.manifests import check_segment, parse_seconds
from recurra.data.audio.utterance import Utterance
from recurra.data.lines import open_bytes, read_lines
from recurra.errors import InputError


class _Entry(NamedTuple):
    """A line of one of Kaldi's tables: what follows its key, and its number."""

    value: str
    line: int


class _Segment(NamedTuple):
    """Where the audio of an utterance is."""

    recording: str
    start: float | None
    end: float | None
    place: str


def is_kaldi(folder: Path) -> bool:
    """Whether a folder is a data folder of Kaldi."""
    return (folder / "wav.scp").is_file()


def read_kaldi(folder: Path, *, text: bool) -> list[Utterance]:
    """Reads a data folder of Kaldi, in the order of `segments`, or of `wav.scp` if there is no such file.

    A path in wav.scp is relative to the working directory, as in Kaldi, unless such a file is in the data folder.

    Args:
        folder: the folder.
        text: whether it must have texts.

    Raises:
        InputError: a file is missing, a line cannot be read, or an utterance has no text or recording.
    """
    recordings = _read_table(folder / "wav.scp", "a recording and its file")
    for name, entry in recordings.items():
        if entry.value.endswith("|") or entry.value.startswith("|"):
            raise InputError(
                f"{folder / 'wav.scp'}:{entry.line}: the audio of {name!r} is the output of a command, expected a "
                "file. Run the commands first, and write the names of their files into wav.scp"
            )
    segments = _segments(folder, recordings)
    texts = _read_table(folder / "text", "an utterance and its text", empty=True) if _has_text(folder, text) else None
    speakers = _read_table(folder / "utt2spk", "an utterance and its speaker") if (folder / "utt2spk").is_file() else {}
    if texts is not None:
        _check_same(folder, segments, texts)
    return [
        Utterance(
            path=_locate(folder, recordings[segment.recording].value),
            text=None if texts is None else texts[name].value,
            start=segment.start,
            end=segment.end,
            speaker=speakers[name].value if name in speakers else None,
            place=segment.place,
            name=name,
        )
        for name, segment in segments.items()
    ]


def _has_text(folder: Path, needed: bool) -> bool:
    if (folder / "text").is_file():
        return True
    if needed:
        raise InputError(f"{folder}: wav.scp, but no file text with what is said")
    return False


def _segments(folder: Path, recordings: dict[str, _Entry]) -> dict[str, _Segment]:
    path = folder / "segments"
    if not path.is_file():
        scp = folder / "wav.scp"
        return {name: _Segment(name, None, None, f"{scp}:{entry.line}") for name, entry in recordings.items()}
    segments = {}
    for name, entry in _read_table(path, "an utterance, its recording, start and end").items():
        place = f"{path}:{entry.line}"
        fields = entry.value.split()
        if len(fields) != 3:
            raise InputError(f"{place}: {len(fields) + 1} columns, expected an utterance, its recording, start and end")
        if fields[0] not in recordings:
            raise InputError(f"{place}: the recording {fields[0]!r} is not in wav.scp")
        start = parse_seconds(fields[1], "start", place)
        # -1 is the end of the recording.
        end = None if fields[2].startswith("-1") else parse_seconds(fields[2], "end", place)
        check_segment(start, end, place)
        segments[name] = _Segment(fields[0], start, end, place)
    return segments


def _check_same(folder: Path, segments: dict[str, _Segment], texts: dict[str, _Entry]) -> None:
    missing = [name for name in segments if name not in texts]
    if missing:
        raise InputError(
            f"{segments[missing[0]].place}: {missing[0]!r} is not in the file text"
            + (f", and {len(missing) - 1} others" if len(missing) > 1 else "")
        )
    further = next((name for name in texts if name not in segments), None)
    if further is not None:
        raise InputError(f"{folder / 'text'}:{texts[further].line}: {further!r} has a text, but no audio")


def _read_table(path: Path, expected: str, *, empty: bool = False) -> dict[str, _Entry]:
    """Reads lines of a key and a value, by key."""
    entries: dict[str, _Entry] = {}
    with open_bytes(path) as file:
        for line in read_lines(file, str(path)):
            parts = line.text.strip().split(maxsplit=1)
            if not parts:
                continue
            place = f"{path}:{line.number}"
            if len(parts) == 1 and not empty:
                raise InputError(f"{place}: one column, expected {expected}")
            if parts[0] in entries:
                raise InputError(f"{place}: {parts[0]!r} is also in line {entries[parts[0]].line}")
            entries[parts[0]] = _Entry(parts[1] if len(parts) > 1 else "", line.number)
    if not entries:
        raise InputError(f"{path}: the file is empty, expected {expected} per line")
    return entries


def _locate(folder: Path, name: str) -> Path:
    in_folder = folder / name
    return in_folder if in_folder.exists() else Path(name)
