"""What a tagger is given to tag: CoNLL-U, columns or plain text, as a stream of sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from recurra.data.columns import read_columns
from recurra.data.conllu import read_conllu
from recurra.data.lines import read_lines
from recurra.data.sentences import Sentence
from recurra.data.word_splitting import tokenize
from recurra.errors import InputError, nearest
from recurra.tasks.tagger.layout import Layout

FORMATS = ("conllu", "columns", "text")
_NAMES = {".conllu": "conllu", ".conll": "columns", ".tsv": "columns", ".bio": "columns", ".iob": "columns"}


@dataclass(frozen=True)
class Reading:
    """How to read what is to be tagged.

    Args:
        layout: the tagger's.
        format: conllu, columns, or text: a sentence a line.
        tokenize: divide text at punctuation too, not at spaces alone.

    Raises:
        InputError: a format that is not known, or that lacks the columns that the tagger reads.
    """

    layout: Layout
    format: str
    tokenize: bool = False

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise InputError(f"there is no format {self.format!r} to read. {nearest(self.format, FORMATS)}")
        if self.tokenize and self.format != "text":
            raise InputError(f"--tokenize divides text, but {self.format} has its words apart already")
        if self.layout.features and self.format != "columns":
            columns = ", ".join(str(column + 1) for column in self.layout.features)
            raise InputError(f"this tagger also reads column {columns} beside the word: give it columns by --from")

    def sentences(self, file: BinaryIO, name: str) -> Iterator[Sentence]:
        """The sentences of an open file, as the tagger wants them; lines that belong to none as one without words.

        Raises:
            InputError: what cannot be read as the format, with the line's number.
        """
        if self.format == "text":
            return self._text(file, name)
        if self.format == "conllu":
            return read_conllu(file, name)
        return self._columns(file, name)

    def checked(self, file: BinaryIO, name: str) -> Iterator[Sentence]:
        """The same, after the file was read to its end once, so that nothing is written of one that has a fault.

        A stream, which can be read only once, is not checked beforehand: its error says that the output stops early.
        """
        if file.seekable():
            start = file.tell()
            for _ in self.sentences(file, name):
                pass
            file.seek(start)
            yield from self.sentences(file, name)
            return
        try:
            yield from self.sentences(file, name)
        except InputError as error:
            raise InputError(
                f"{error}. The output ends before this: a stream cannot be checked first, a file is"
            ) from None

    def _text(self, file: BinaryIO, name: str) -> Iterator[Sentence]:
        for line in read_lines(file, name):
            words, spaces = tokenize(line.text) if self.tokenize else (line.text.split(), None)
            yield Sentence(words, [[word] for word in words], [line.raw], number=line.number, spaces=spaces)

    def _columns(self, file: BinaryIO, name: str) -> Iterator[Sentence]:
        same = self.layout.format == "columns"
        word, separator = (self.layout.word, self.layout.separator) if same else (0, None)
        last = max(self.layout.features, default=0)
        for sentence in read_columns(file, name, word=word, separator=separator):
            columns = len(sentence.rows[0]) if sentence.rows else None
            if columns is not None and columns <= last:
                where = f"{name}:{sentence.line_of(0)}"
                raise InputError(f"{where}: {columns} columns, but this tagger also reads column {last + 1}")
            yield sentence


def format_for(path: Path | None, layout: Layout) -> str:
    """What a file is read as where nobody says: by its name, else as the training files were, stdin as text."""
    if path is None:
        return "columns" if layout.features else "text"
    if path.suffix in _NAMES:
        return _NAMES[path.suffix]
    return "columns" if layout.format == "columns" else "text"
