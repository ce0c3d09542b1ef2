"""Column files: one word per line with its labels in further columns, an empty line after each sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from recurra.data.lines import Line, read_lines
from recurra.data.sentences import Block, Sentence, blocks
from recurra.errors import InputError

SEPARATORS = {"tab": "\t", "space": " "}
# The word column of CoNLL-2003 between documents.
DOCUMENT = "-DOCSTART-"
# Not str.strip(): it would also strip U+00A0 and similar characters, which are words in texts from the web.
_BLANK = " \t\r"


def read_columns(
    file: BinaryIO, name: str, *, word: int, separator: str | None = None, columns: int | None = None
) -> Iterator[Sentence]:
    """Iterates over the sentences of an open column file.

    The first row determines the separator: tabs if it has a tab, spaces if it has several words. A line `# …` at the
    beginning of a sentence is a comment if its number of columns differs from that of the rows; `# SYM` is a row. A
    line whose word is -DOCSTART- is not a word.

    Args:
        file: open for reading bytes.
        name: name of the file in error messages.
        word: the column of the word, from 0.
        separator: "tab" or "space", for files whose first row has neither tabs nor several words; None for spaces.
        columns: number of columns of each row; None for that of the first row.

    Yields:
        The sentences; a sentence without words holds lines between sentences.

    Raises:
        InputError: a row has a different number of columns or no word, or a line is not UTF-8; with the line's number.
    """
    rows = _Rows(name, word, separator, columns)
    for block in blocks(read_lines(file, name), lambda text: not text.strip(_BLANK)):
        yield rows.sentence(block)


class _Rows:
    """Divides lines into columns, with one separator and number of columns for the whole file."""

    def __init__(self, name: str, word: int, undecided: str | None, columns: int | None) -> None:
        self._name, self._word, self._columns, self._undecided = name, word, columns, undecided
        self._separator: str | None = None
        # The numbers of the lines that determined the separator and the number of columns, for error messages.
        self._decided: int | None = None
        self._first: int | None = None

    def sentence(self, block: Block) -> Sentence:
        """Returns the sentence of a block of lines."""
        if self._separator is None:
            self._decide([line for line in block.lines if line.text.strip(_BLANK)])
        words: list[str] = []
        rows: list[list[str]] = []
        places: list[int] = []
        for place, line in enumerate(block.lines):
            if not line.text.strip(_BLANK) or self._is_document(line) or (not words and self._is_comment(line)):
                continue
            fields = self._fields(line)
            rows.append(fields)
            words.append(fields[self._word].strip(" "))
            places.append(place)
        raw = [line.raw for line in block.lines]
        # A single column does not determine the separator: the caller chooses one for added columns.
        separator = None if self._columns == 1 else self._separator
        return Sentence(words, rows, raw, places, block.lines[0].number, separator=separator)

    def _decide(self, lines: list[Line]) -> None:
        """Determines separator and number of columns from the first line that is certainly a row."""
        lines = [line for line in lines if not self._is_document(line)]
        # A line that begins with # may be a comment, also without a space after #: prefer other lines.
        first = next((line for line in lines if not line.text.startswith("#")), None)
        first = first or next((line for line in lines if not _may_be_comment(line)), None)
        if first is None:
            # Only comments, or a sentence of "#" signs: they are rows only if they have the number of columns of rows.
            fitting = (line for line in lines if self._columns in (len(line.text.split("\t")), len(line.text.split())))
            first = next(fitting, None)
        if first is None:
            return
        several = len(divide(first.text, "space")) > 1
        self._separator = "tab" if "\t" in first.text else "space" if several else self._undecided or "space"
        self._decided = first.number
        if self._columns is None:
            self._columns, self._first = len(divide(first.text, self._separator)), first.number

    def _is_document(self, line: Line) -> bool:
        if DOCUMENT not in line.text:
            return False
        fields = divide(line.text, "tab" if "\t" in line.text else "space")
        return fields[self._word if self._word < len(fields) else 0] == DOCUMENT

    def _is_comment(self, line: Line) -> bool:
        if not _may_be_comment(line):
            return False
        return self._separator is None or len(divide(line.text, self._separator)) != self._columns

    def _fields(self, line: Line) -> list[str]:
        separator = self._separator or "space"
        fields = divide(line.text, separator)
        where = f"{self._name}:{line.number}"
        if separator == "space" and "\t" in line.text.strip(_BLANK):
            raise InputError(
                f"{where}: a tab, but columns are separated by spaces in line {self._decided}. Use one of them"
            )
        if len(fields) != self._columns:
            expected = f"{self._columns}" if self._first is None else f"{self._columns} as in line {self._first}"
            raise InputError(f"{where}: {len(fields)} columns separated by {separator}s, expected {expected}")
        if self._word >= len(fields):
            raise InputError(f"{where}: {len(fields)} columns, but the word is in column {self._word + 1}")
        if not fields[self._word].strip(" "):
            raise InputError(f"{where}: column {self._word + 1} is empty, expected a word")
        return fields


def _may_be_comment(line: Line) -> bool:
    return line.text.startswith("# ") or line.text.strip(_BLANK) == "#"


def divide(text: str, separator: str) -> list[str]:
    """Splits a row at each tab, or at runs of spaces, ignoring whitespace at both ends."""
    if separator == "tab":
        return text.split("\t")
    return [field for field in text.strip(_BLANK).split(" ") if field]


def read_rows(file: BinaryIO, name: str, *, expected: str, columns: int, separator: str) -> Iterator[list[str] | None]:
    """Iterates over the rows of an open file as they arrive, without waiting for the end of a sentence.

    The first row determines the separator: tabs if it has a tab, spaces if it has several words.

    Args:
        file: open for reading bytes; a pipe is supported.
        name: name of the file in error messages.
        expected: what a row has, for error messages: "a word and 1 feature".
        columns: number of columns of each row.
        separator: "tab" or "space", if the first row has neither tabs nor several words: with "tab" such a row may
            have spaces in its only column.

    Yields:
        The fields of a row; None for an empty line, the end of a sentence.

    Raises:
        InputError: a row has a different number of columns or an empty one, or a line is not UTF-8; with the line's
            number.
    """
    decided: str | None = None
    for line in read_lines(file, name):
        text = line.text.strip(" \r")
        if not text.strip("\t"):
            yield None
            continue
        if decided is None:
            decided = "tab" if "\t" in text else "space" if len(divide(text, "space")) > 1 else separator
        fields = divide(text, decided)
        if len(fields) != columns or not all(field.strip(" ") for field in fields):
            shown = f"{len(fields)} column{'s' if len(fields) != 1 else ''}"
            raise InputError(f"{name}:{line.number}: {shown} separated by {decided}s, expected {expected} per line")
        if decided == "space" and "\t" in text:
            raise InputError(
                f"{name}:{line.number}: a tab, but the lines before are separated by spaces. Use one of them"
            )
        yield [field.strip(" ") for field in fields]
