"""Opens data sets of speech: manifests, Kaldi's folders, LibriSpeech, Common Voice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recurra.data.audio.common_voice import is_common_voice, read_common_voice, tables_of
from recurra.data.audio.kaldi import is_kaldi, read_kaldi
from recurra.data.audio.librispeech import SUFFIX, read_transcript, transcripts_of
from recurra.data.audio.manifests import is_manifest, read_manifest
from recurra.data.audio.tables import read_header
from recurra.data.audio.utterance import Utterance
from recurra.errors import InputError

__all__ = ["Utterance", "open_utterances"]

_EXPECTED = "a column audio or features, and text"


def open_utterances(paths: Sequence[Path], *, text: bool = True) -> list[Utterance]:
    """Reads the lists of utterances of data sets, in order; the audio itself is not read.

    Each path is recognised by its content: a manifest (a table with a column `audio` or `features`, and `text`), a
    table of Common Voice, a transcript of LibriSpeech, or a folder of Kaldi, LibriSpeech or Common Voice.

    Args:
        paths: files and folders.
        text: whether every utterance must have a text.

    Raises:
        InputError: there are no paths, or one cannot be read or is of no known form; with the line's number.
    """
    if not paths:
        raise InputError(f"no data: name a manifest, a table with {_EXPECTED}")
    return [utterance for path in paths for utterance in _read(Path(path), text)]


def _read(path: Path, text: bool) -> list[Utterance]:
    if path.is_dir():
        return _read_folder(path, text)
    if path.name.endswith(SUFFIX):
        return read_transcript(path)
    header = read_header(path)
    if is_manifest(header):
        return read_manifest(path, header, text=text)
    if is_common_voice(header):
        return read_common_voice(path, header)
    names = ", ".join(name if len(name) <= 40 else f"{name[:40]}…" for name in header[:12])
    raise InputError(f"{path}:1: the columns are {names}; expected a manifest, which has {_EXPECTED}")


def _read_folder(folder: Path, text: bool) -> list[Utterance]:
    if is_kaldi(folder):
        return read_kaldi(folder, text=text)
    tables = tables_of(folder)
    if len(tables) == 1:
        return _read(tables[0], text)
    if tables:
        raise InputError(f"{folder}: several tables, {', '.join(table.name for table in tables)}. Name one of them")
    transcripts = transcripts_of(folder)
    if transcripts:
        return [utterance for path in transcripts for utterance in read_transcript(path)]
    raise InputError(
        f"{folder}: no wav.scp (Kaldi), no *{SUFFIX} (LibriSpeech) and no clips with tables (Common Voice) in this "
        f"folder. Name a manifest, a table with {_EXPECTED}"
    )
