"""Column files: a word a line with its labels beside it, an empty line after each sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from recurra.data.lines import read_lines
from recurra.data.sentences import Sentence, blocks
from recurra.errors import InputError

SEPARATORS = {"tab": "\t", "space": " "}
# Not str.strip(): it would also take U+00A0 and its kin, which are words in texts from the web.
_BLANK = " \t\r"


def read_columns(
    file: BinaryIO, name: str, *, word: int, separator: str | None = None, columns: int | None = None
) -> Iterator[Sentence]:
    """The sentences of an open column file, one at a time.

    Args:
        file: open for reading bytes.
        name: what errors call it.
        word: the column of the word, from 0.
        separator: "tab" or "space"; where None, tabs if the file's first row has one, else spaces.
        columns: how many columns each row has; as many as the first row where None.

    Raises:
        InputError: a row with another number of columns, one without a word, a line that is not UTF-8; with its number.
    """
    first = None
    for block in blocks(read_lines(file, name), lambda text: not text.strip(_BLANK)):
        words, rows, places = [], [], []
        for place, line in enumerate(block.lines):
            if not line.text.strip(_BLANK):
                continue
            separator = separator or ("tab" if "\t" in line.text else "space")
            fields = divide(line.text, separator)
            if columns is None:
                columns, first = len(fields), line.number
            if len(fields) != columns:
                expected = f"{columns}" if first is None else f"{columns} as in line {first}"
                raise InputError(
                    f"{name}:{line.number}: {len(fields)} columns apart by {separator}s, expected {expected}"
                )
            if word >= len(fields):
                raise InputError(f"{name}:{line.number}: {len(fields)} columns, but the word is in column {word + 1}")
            if not fields[word]:
                raise InputError(f"{name}:{line.number}: column {word + 1} is empty, expected a word")
            words.append(fields[word])
            rows.append(fields)
            places.append(place)
        if words:
            yield Sentence(words, rows, [line.raw for line in block.lines], places, block.lines[0].number)


def divide(text: str, separator: str) -> list[str]:
    """The fields of a row: between tabs, or between spaces, of which several count as one."""
    if separator == "tab":
        return text.split("\t")
    return [field for field in text.split(" ") if field]
