"""LibriSpeech: a folder per speaker and chapter, with a transcript and FLAC files."""

from __future__ import annotations

from pathlib import Path

from recurra.data.audio.utterance import Utterance
from recurra.data.lines import open_bytes, read_lines
from recurra.errors import InputError

SUFFIX = ".trans.txt"


def transcripts_of(folder: Path) -> list[Path]:
    """Returns all transcripts in a folder and the folders in it; sorted by path."""
    return sorted(folder.rglob(f"*{SUFFIX}"))


def read_transcript(path: Path) -> list[Utterance]:
    """Reads a transcript, speaker-chapter.trans.txt: lines of an identifier, speaker-chapter-number, and a text.

    The audio of a line is the file named after its identifier, with the extension .flac, in the same folder.

    Raises:
        InputError: a line does not begin with an identifier; with its number.
    """
    utterances = []
    stem = path.name.removesuffix(SUFFIX)
    with open_bytes(path) as file:
        for line in read_lines(file, str(path)):
            if not line.text.strip():
                continue
            name, _, text = line.text.strip().partition(" ")
            place = f"{path}:{line.number}"
            if not name.startswith(f"{stem}-"):
                raise InputError(f"{place}: begins with {name!r}, expected an identifier such as {stem}-0000")
            utterances.append(
                Utterance(
                    path=path.parent / f"{name}.flac",
                    text=text.strip(),
                    speaker=name.partition("-")[0],
                    place=place,
                    name=name,
                )
            )
    if not utterances:
        raise InputError(f"{path}: the file is empty, expected lines such as {stem}-0000 TEXT")
    return utterances
