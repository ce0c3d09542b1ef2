"""CoNLL-U files: one word per line in ten columns; comments, multiword tokens and empty nodes are kept but ignored.

`new_rows`, `add_to_misc` and `new_sentence` write sentences that were read from other formats.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from operator import not_
from typing import BinaryIO

from recurra.data.lines import read_lines
from recurra.data.sentences import Block, Sentence, blocks
from recurra.errors import InputError

COLUMNS = 10
FORM, UPOS, XPOS, FEATS, MISC = 1, 3, 4, 5, 9
EMPTY = "_"
# A range "3-4" is a multiword token and a decimal "8.1" an empty node; neither is a word.
_NO_WORD = re.compile(r"\d+-\d+|\d+\.\d+")


def read_conllu(file: BinaryIO, name: str) -> Iterator[Sentence]:
    """Iterates over the sentences of an open CoNLL-U file.

    Args:
        file: open for reading bytes.
        name: name of the file in error messages.

    Yields:
        The sentences; a sentence without words holds comments outside of sentences, such as at the end of a file.

    Raises:
        InputError: a line is not CoNLL-U or not UTF-8, or a sentence has no words; with the line's number.
    """
    for block in blocks(read_lines(file, name), not_):
        yield _sentence(block, name)


def _sentence(block: Block, name: str) -> Sentence:
    words: list[str] = []
    rows: list[list[str]] = []
    places: list[int] = []
    for place, line in enumerate(block.lines):
        text = line.text
        if not text or text[0] == "#":
            continue
        fields = text.split("\t")
        if len(fields) != COLUMNS:
            raise InputError(
                f"{name}:{line.number}: {_describe_columns(fields, text)}, CoNLL-U has {COLUMNS}, separated by tabs"
            )
        if fields[0] == str(len(words) + 1):
            if not fields[FORM]:
                raise InputError(f"{name}:{line.number}: the word is empty, expected a form in column 2")
            words.append(fields[FORM])
            rows.append(fields)
            places.append(place)
        elif not _NO_WORD.fullmatch(fields[0]):
            raise InputError(f"{name}:{line.number}: id {fields[0]!r}, expected {len(words) + 1}, a range or a decimal")
    if not words:
        others = [line.number for line in block.lines if line.text and line.text[0] != "#"]
        if others:
            raise InputError(f"{name}:{others[0]}: a sentence without words. Remove it, or add a line per word")
    return Sentence(words, rows, [line.raw for line in block.lines], places, block.lines[0].number, _spaces(rows))


def _spaces(rows: list[list[str]]) -> list[bool]:
    return ["SpaceAfter=No" not in row[MISC] for row in rows]


def _describe_columns(fields: list[str], text: str) -> str:
    if len(fields) == 1 and len(text.split()) == COLUMNS:
        return f"{COLUMNS} columns separated by spaces"
    return f"{len(fields)} column{'s' if len(fields) != 1 else ''}"


def new_rows(sentence: Sentence) -> list[list[str]]:
    """Returns rows of CoNLL-U for a sentence of another format: numbers and words, and where no space follows."""
    rows = []
    for number, (word, space) in enumerate(zip(sentence.words, _spaces_after(sentence), strict=True), start=1):
        row = [EMPTY] * COLUMNS
        row[0], row[FORM] = str(number), word
        row[MISC] = EMPTY if space else "SpaceAfter=No"
        rows.append(row)
    return rows


def add_to_misc(row: list[str], item: str) -> None:
    """Adds `name=value` to the last column of a row."""
    row[MISC] = item if row[MISC] == EMPTY else f"{row[MISC]}|{item}"


def new_sentence(sentence: Sentence, rows: list[list[str]]) -> str:
    """Returns the lines of a sentence of another format, after its text as a comment."""
    spaces = zip(sentence.words, _spaces_after(sentence), strict=True)
    text = "".join(word + " " * space for word, space in spaces).rstrip(" ")
    return "".join([f"# text = {text}\n", *("\t".join(row) + "\n" for row in rows), "\n"])


def _spaces_after(sentence: Sentence) -> list[bool]:
    return sentence.spaces or [True] * len(sentence.words)
