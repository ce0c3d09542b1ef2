"""Sentences out of files: words with fields, and every line around them, so that a file can be written as it was."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from recurra.data.lines import Line, end_of


@dataclass(slots=True)
class Sentence:
    """One sentence; one without words is lines between sentences, such as comments at a file's end.

    Args:
        words: the words, in order.
        rows: the fields of each word's line.
        lines: every line that belongs to the sentence, as it was: comments, multiword tokens, the empty line after it.
        places: of each word, which of `lines` is its own.
        number: the number of the first of `lines` in its file, from 1.
        spaces: of each word, whether a space follows; None where the file does not say.
        separator: what divides the fields of its lines, "tab" or "space"; None where the file does not say.
    """

    words: list[str]
    rows: list[list[str]]
    lines: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    number: int = 1
    spaces: list[bool] | None = None
    separator: str | None = None

    def line_of(self, word: int) -> int:
        """The number of a word's line in its file."""
        return self.number + (self.places[word] if self.places else 0)

    def with_rows(self, rows: list[list[str]], separator: str) -> Iterator[str]:
        """The sentence's lines with other fields for its words; a line whose fields are the same stays as it was.

        Args:
            rows: for each word the fields of its line, and perhaps further ones.
            separator: what divides them; between spaces, those of the line stay as many as they were.
        """
        if rows == self.rows:
            yield from self.lines
            return
        own = dict(zip(self.places, range(len(rows)), strict=True))
        for place, raw in enumerate(self.lines):
            word = own.get(place)
            if word is None or rows[word] == self.rows[word]:
                yield raw
            else:
                mark = "\ufeff" if raw.startswith("\ufeff") else ""
                yield mark + _joined(rows[word], separator, raw.removeprefix(mark)) + end_of(raw)


def _joined(fields: list[str], separator: str, raw: str) -> str:
    """A line of other fields: with tabs between them, or the spaces that `raw` has around its own."""
    if separator != " ":
        return separator.join(fields)
    before, *between = re.split("[^ ]+", raw.removesuffix("\n").removesuffix("\r"))
    after = between.pop() if between else ""
    between += [" "] * (len(fields) - 1 - len(between))
    return before + "".join(field + space for field, space in zip(fields, [*between, after], strict=True))


class Block(NamedTuple):
    """The lines from one empty line to the next, empty lines after them included."""

    lines: list[Line]
    filled: int
    """How many of the lines come before the empty ones."""


def blocks(lines: Iterator[Line], is_empty: Callable[[str], bool]) -> Iterator[Block]:
    """The lines of a file in blocks that empty lines divide; those before the first block belong to it."""
    held: list[Line] = []
    filled, begun = 0, False
    for line in lines:
        empty = is_empty(line.text)
        if begun and not empty and filled < len(held):
            yield Block(held, filled)
            held, filled = [], 0
        held.append(line)
        if not empty:
            begun, filled = True, len(held)
    if held:
        yield Block(held, filled)
