"""Transcripts as text, JSON and subtitles."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from recurra.tasks.transcriber.transcript import Transcript, Word

# A subtitle has at most two lines of 42 characters and lasts at most 6 seconds, as broadcasters recommend; a pause of
# 0.8 seconds begins another one.
_CHARACTERS, _LINE, _SECONDS, _PAUSE = 84, 42, 6.0, 0.8


def as_text(transcript: Transcript, path: Path) -> str:
    """Returns the text as a line."""
    return transcript.text + "\n"


def as_json(transcript: Transcript, path: Path) -> str:
    """Returns a line with an object: file, text, duration, confidence and words."""
    content = {
        "file": str(path),
        "text": transcript.text,
        "seconds": round(transcript.seconds, 3),
        "confidence": round(transcript.confidence, 4),
        "words": [word.to_plain() for word in transcript.words],
    }
    return json.dumps(content, ensure_ascii=False) + "\n"


def as_srt(transcript: Transcript, path: Path) -> str:
    """Returns subtitles in SubRip's format."""
    blocks = [
        f"{number}\n{_time(cue[0].start, ',')} --> {_time(cue[-1].end, ',')}\n{_text(cue)}\n"
        for number, cue in enumerate(cues(transcript.words), start=1)
    ]
    return "\n".join(blocks)


def as_vtt(transcript: Transcript, path: Path) -> str:
    """Returns subtitles in the format WebVTT."""
    blocks = [
        f"{_time(cue[0].start, '.')} --> {_time(cue[-1].end, '.')}\n{_escaped(_text(cue))}\n"
        for cue in cues(transcript.words)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


FORMATS: dict[str, Callable[[Transcript, Path], str]] = {
    "text": as_text,
    "json": as_json,
    "srt": as_srt,
    "vtt": as_vtt,
}


def cues(words: list[Word]) -> Iterator[list[Word]]:
    """Yields the words of each subtitle."""
    cue: list[Word] = []
    for word in words:
        if cue:
            characters = sum(len(one.text) + 1 for one in cue) + len(word.text)
            too_long = characters > _CHARACTERS or word.end - cue[0].start > _SECONDS
            if too_long or word.start - cue[-1].end > _PAUSE:
                yield cue
                cue = []
        cue.append(word)
    if cue:
        yield cue


def _text(cue: list[Word]) -> str:
    """The words in one line, or in two of similar lengths."""
    text = " ".join(word.text for word in cue)
    spaces = [place for place, character in enumerate(text) if character == " "]
    if len(text) <= _LINE or not spaces:
        return text
    middle = min(spaces, key=lambda place: abs(place - len(text) / 2))
    return f"{text[:middle]}\n{text[middle + 1 :]}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(seconds: float, point: str) -> str:
    milliseconds = round(1000 * seconds)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{point}{rest % 1000:03}"
