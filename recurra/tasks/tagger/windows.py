"""Streams of sentences in windows: enough at once to batch by length, few enough to hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol, TypeVar

# Words held at once.
WINDOW_WORDS = 16_384


class HasWords(Protocol):
    """What has words to count."""

    @property
    def words(self) -> Sequence[str]:
        """The words."""
        ...


T = TypeVar("T", bound=HasWords)


def windows(items: Iterable[T], words: int = WINDOW_WORDS) -> Iterator[list[T]]:
    """Sentences in lists of about so many words; each in a list of its own for 0 words."""
    iterator = iter(items)
    while held := list(islice(iterator, 1)):
        # An empty sentence counts as a word, so that a file of empty lines is not held whole.
        count = max(1, len(held[0].words))
        while count < words and (more := list(islice(iterator, 1))):
            held += more
            count += max(1, len(more[0].words))
        yield held
