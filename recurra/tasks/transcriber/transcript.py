"""What a transcriber returns: words with their times and confidences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recurra.decoding.ctc import TimedWord


@dataclass(frozen=True)
class Word:
    """A recognised word.

    Args:
        text: the word.
        start: its beginning, in seconds.
        end: its end, in seconds.
        confidence: the lowest probability among its symbols, 0 to 1.
    """

    text: str
    start: float
    end: float
    confidence: float

    @classmethod
    def of(cls, word: TimedWord, step_seconds: float) -> Word:
        """Returns a word whose times are counted in steps of a network."""
        return cls(word.text, word.start * step_seconds, word.end * step_seconds, word.confidence)

    def to_plain(self) -> dict[str, Any]:
        """Returns the word for JSON, times in milliseconds' precision."""
        return {
            "text": self.text,
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "confidence": round(self.confidence, 4),
        }


@dataclass(frozen=True)
class Transcript:
    """The words of a recording.

    Args:
        words: in order.
        seconds: duration of the recording.
    """

    words: list[Word]
    seconds: float

    @property
    def text(self) -> str:
        """The words with single spaces between them."""
        return " ".join(word.text for word in self.words)

    @property
    def confidence(self) -> float:
        """The mean confidence of the words; 1 without words."""
        return sum(word.confidence for word in self.words) / len(self.words) if self.words else 1.0

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Partial:
    """What a stream has recognised with the samples of one call.

    Args:
        words: the words that no later sound changes, since the last call.
        pending: the text after them, which may still change.
    """

    words: list[Word]
    pending: str
