"""Sentences given in Python, and what a tagger says of a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recurra.data.sentences import Sentence
from recurra.errors import InputError
from recurra.tasks.tagger.layout import Layout

# A word with the values of its feature columns, or alone.
Word = str | tuple[str, ...]


@dataclass(frozen=True)
class Tagged:
    """A sentence with the labels that a tagger gives it.

    Args:
        sentence: the sentence as it was read.
        labels: for each label, by name, the value of each word.
        probabilities: for each label the probability of each word's value; None where nobody asked.
    """

    sentence: Sentence
    labels: dict[str, list[str]]
    probabilities: dict[str, list[float]] | None


def as_sentence(words: Sequence[Word], layout: Layout, *, place: int) -> Sentence:
    """A sentence given in Python, as if it came from a file.

    Args:
        words: the words, with their features where the layout has any.
        layout: where a file would have them.
        place: the sentence's number, for errors.

    Raises:
        InputError: a string in place of a list, an empty word, a word without its features.
    """
    if isinstance(words, str):
        raise InputError(f"sentence {place} is the string {words[:40]!r}, expected a list of words: divide it first")
    rows, forms = [], []
    for word in words:
        parts = (word,) if isinstance(word, str) else tuple(word)
        if len(parts) != 1 + len(layout.features):
            wanted = f"a tuple of the word and {len(layout.features)} features" if layout.features else "a string"
            raise InputError(f"sentence {place}: {word!r}, expected {wanted}")
        if not all(isinstance(part, str) and part for part in parts):
            raise InputError(f"sentence {place}: {word!r}, expected words that are not empty")
        row = [""] * layout.columns
        for column, part in zip((layout.word, *layout.features), parts, strict=True):
            row[column] = part
        rows.append(row)
        forms.append(parts[0])
    return Sentence(forms, rows)
