"""Sentences of labelled files: words with their fields, and all original lines, so that a file can be reproduced."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from recurra.data.lines import Line, end_of


@dataclass(slots=True)
class Sentence:
    """A sentence; one without words holds lines between sentences, such as comments at the end of a file.

    Args:
        words: the words, in order.
        rows: the fields of each word's line.
        lines: all original lines of the sentence: comments, multiword tokens, the empty line after it.
        places: the index in `lines` of each word's line.
        number: the line number of the first of `lines` in its file, from 1.
        spaces: whether a space follows each word; None if the file does not say.
        separator: separator of the fields, "tab" or "space"; None if the file does not say.
    """

    words: list[str]
    rows: list[list[str]]
    lines: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    number: int = 1
    spaces: list[bool] | None = None
    separator: str | None = None

    def line_of(self, word: int) -> int:
        """Returns the line number of a word in its file."""
        return self.number + (self.places[word] if self.places else 0)

    def with_rows(self, rows: list[list[str]], separator: str) -> Iterator[str]:
        """Iterates over the sentence's lines with new fields; a line whose fields are equal is not changed.

        Args:
            rows: the fields of each word's line, possibly with additional ones.
            separator: separator of the fields; with spaces, the original runs of spaces are kept.
        """
        if rows == self.rows:
            yield from self.lines
            return
        word_of_line = dict(zip(self.places, range(len(rows)), strict=True))
        for place, raw in enumerate(self.lines):
            word = word_of_line.get(place)
            if word is None or rows[word] == self.rows[word]:
                yield raw
            else:
                mark = "\ufeff" if raw.startswith("\ufeff") else ""
                yield mark + _join(rows[word], separator, raw.removeprefix(mark)) + end_of(raw)


def _join(fields: list[str], separator: str, raw: str) -> str:
    """Joins fields to a line with tabs, or with the runs of spaces of the original line `raw`."""
    if separator != " ":
        return separator.join(fields)
    before, *between = re.split("[^ ]+", raw.removesuffix("\n").removesuffix("\r"))
    after = between.pop() if between else ""
    between += [" "] * (len(fields) - 1 - len(between))
    return before + "".join(field + space for field, space in zip(fields, [*between, after], strict=True))


class Block(NamedTuple):
    """The lines from one empty line to the next, including the empty lines after them."""

    lines: list[Line]
    filled: int
    """Number of lines before the empty ones."""


def blocks(lines: Iterator[Line], is_empty: Callable[[str], bool]) -> Iterator[Block]:
    """Divides the lines of a file at empty lines; empty lines before the first block belong to it."""
    block: list[Line] = []
    filled, begun = 0, False
    for line in lines:
        empty = is_empty(line.text)
        if begun and not empty and filled < len(block):
            yield Block(block, filled)
            block, filled = [], 0
        block.append(line)
        if not empty:
            begun, filled = True, len(block)
    if block:
        yield Block(block, filled)
