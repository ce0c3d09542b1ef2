"""One utterance of a data set: where its audio or features are, and what is said in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """An utterance; its file need not exist.

    Args:
        path: the audio file, or the file of features.
        text: what is said; None if that is unknown.
        start: where the utterance begins in the file, in seconds; None for the beginning.
        end: where it ends; None for the end of the file.
        speaker: the name of the speaker; None if unknown.
        place: file and line that define the utterance, such as "train.csv:12".
        name: the utterance as it is named there.
        is_features: whether the file contains features rather than audio.
    """

    path: Path
    text: str | None
    start: float | None = None
    end: float | None = None
    speaker: str | None = None
    place: str
    name: str
    is_features: bool = False
