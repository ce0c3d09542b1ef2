"""Files of `recurra tag`: sentences from CoNLL-U, columns or text; tagged sentences to these, JSON or a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from recurra.data.columns import SEPARATORS, read_columns, read_rows
from recurra.data.conllu import add_to_misc, new_rows, new_sentence, read_conllu
from recurra.data.lines import read_lines
from recurra.data.sentences import Sentence
from recurra.data.spans import spans_of
from recurra.data.word_splitting import tokenize
from recurra.errors import InputError, nearest
from recurra.tasks.tagger.formats import Layout, Word

INPUT_FORMATS = ("conllu", "columns", "text")
_FORMAT_OF_NAME = {".conllu": "conllu", ".conll": "columns", ".tsv": "columns", ".bio": "columns", ".iob": "columns"}


@dataclass(frozen=True)
class SentenceReader:
    """Reads the sentences to tag.

    Args:
        layout: the columns of the tagger's training files.
        format: of `INPUT_FORMATS`; in text, each line is a sentence.
        tokenize: divide text also at punctuation, not only at spaces.

    Raises:
        InputError: an unknown format, or one without the feature columns that the tagger reads.
    """

    layout: Layout
    format: str
    tokenize: bool = False

    def __post_init__(self) -> None:
        if self.format not in INPUT_FORMATS:
            raise InputError(f"there is no format {self.format!r} to read. {nearest(self.format, INPUT_FORMATS)}")
        if self.tokenize and self.format != "text":
            raise InputError(f"--tokenize divides text, but the words of {self.format} are already divided")
        if self.layout.features and self.format != "columns":
            columns = ", ".join(str(column + 1) for column in self.layout.features)
            raise InputError(
                f"this tagger also reads column {columns}, next to the word: use a column file, with --from columns"
            )

    def sentences(self, file: BinaryIO, name: str) -> Iterator[Sentence]:
        """Iterates over the sentences of an open file; one without words holds lines between sentences.

        Raises:
            InputError: a line does not fit the format; with its number.
        """
        if self.format == "text":
            return self._text(file, name)
        if self.format == "conllu":
            return read_conllu(file, name)
        return self._columns(file, name)

    def checked_sentences(self, file: BinaryIO, name: str) -> Iterator[Sentence]:
        """Iterates over the same after reading the file once to its end, so that a faulty file gives no output.

        A pipe can be read only once and is not checked: its error says that the output is incomplete.
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
                f"{error}. The output ends before this line: a pipe cannot be checked beforehand, a file can"
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


def input_format(path: Path | None, layout: Layout) -> str:
    """Returns the default format of a file: by its name, else as the training files; of stdin, None, text.

    Text has no feature columns: a tagger that reads some expects columns.
    """
    if path is None:
        return "columns" if layout.features else "text"
    if path.suffix in _FORMAT_OF_NAME:
        return _FORMAT_OF_NAME[path.suffix]
    return "columns" if layout.format == "columns" else "text"


def read_words(file: BinaryIO, name: str, layout: Layout) -> Iterator[Word | None]:
    """Iterates over words as they arrive, one per line with its features; None at the end of a sentence.

    Args:
        file: open for reading bytes; a pipe is supported.
        name: name of the file in error messages.
        layout: the columns of the tagger's training files. If those were separated by tabs, words may contain spaces.

    Raises:
        InputError: a line has a different number of columns or an empty one, or is not UTF-8; with its number.
    """
    features = len(layout.features)
    expected = f"a word and {features} feature{'s' if features != 1 else ''}" if features else "a word"
    for fields in read_rows(file, name, expected=expected, columns=1 + features, separator=layout.separator):
        yield None if fields is None else tuple(fields) if features else fields[0]


@dataclass(frozen=True)
class TaggedSentence:
    """A sentence with predicted labels.

    Args:
        sentence: the sentence as it was read.
        labels: the values of each label by its name, one per word.
        probabilities: the probabilities of these values, from 0 to 1; None if they were not requested.
    """

    sentence: Sentence
    labels: dict[str, list[str]]
    probabilities: dict[str, list[float]] | None


Writer = Callable[[TaggedSentence], str]


def writer(to: str, came_as: str, layout: Layout, *, scheme: str | None) -> Writer:
    """Returns a function that converts a tagged sentence to text.

    Args:
        to: a name of `WRITERS`.
        came_as: the format of the input; if it equals `to`, everything but the labels is written unchanged.
        layout: the columns of the tagger's training files.
        scheme: how labels mark spans; None if they mark none.

    Raises:
        InputError: an unknown format.
    """
    if to not in WRITERS:
        raise InputError(f"there is no format {to!r} to write. {nearest(to, WRITERS)}")
    write = WRITERS[to](came_as, layout, scheme)

    def write_sentence(tagged: TaggedSentence) -> str:
        if tagged.sentence.words or came_as == "text":
            return write(tagged)
        # Lines between sentences, such as comments at the end of a file, can only be written in the same format.
        return "".join(tagged.sentence.lines) if to == came_as else ""

    return write_sentence


def _conllu(came_as: str, layout: Layout, scheme: str | None) -> Writer:
    columns = dict(zip(layout.names, layout.labels, strict=True)) if layout.format == "conllu" else {}

    def write(tagged: TaggedSentence) -> str:
        sentence = tagged.sentence
        if not sentence.words:
            return ""
        rows = [row.copy() for row in sentence.rows] if came_as == "conllu" else new_rows(sentence)
        for name, values in tagged.labels.items():
            for row, value in zip(rows, values, strict=True):
                if name in columns:
                    row[columns[name]] = value
                else:
                    add_to_misc(row, f"{name.capitalize()}={value}")
        for name, shares in (tagged.probabilities or {}).items():
            for row, share in zip(rows, shares, strict=True):
                add_to_misc(row, f"P{name}={share:.4f}")
        return "".join(sentence.with_rows(rows, "\t")) if came_as == "conllu" else new_sentence(sentence, rows)

    return write


def _columns(came_as: str, layout: Layout, scheme: str | None) -> Writer:
    def write(tagged: TaggedSentence) -> str:
        sentence = tagged.sentence
        if came_as != "columns":
            rows = [[word] for word in sentence.words]
            separator = "\t"
        else:
            rows = [row.copy() for row in sentence.rows]
            separator = SEPARATORS[sentence.separator or layout.separator]
        replaced = came_as == "columns" == layout.format and bool(rows) and len(rows[0]) == layout.columns
        for name, column in zip(layout.names, layout.labels, strict=True):
            for row, value in zip(rows, tagged.labels[name], strict=True):
                if replaced:
                    # Spaces around a label that does not change are kept, so that its line does not change.
                    row[column] = row[column] if row[column].strip(" ") == value else value
                else:
                    row.append(value)
        for shares in (tagged.probabilities or {}).values():
            for row, share in zip(rows, shares, strict=True):
                row.append(f"{share:.4f}")
        if came_as == "columns":
            return "".join(sentence.with_rows(rows, separator))
        return "".join([*(separator.join(row) + "\n" for row in rows), "\n"])

    return write


def _json(came_as: str, layout: Layout, scheme: str | None) -> Writer:
    def write(tagged: TaggedSentence) -> str:
        words = tagged.sentence.words
        content: dict[str, object] = {"words": words, **tagged.labels}
        if scheme is not None:
            content["spans"] = [
                {"type": kind, "start": start, "end": end, "text": " ".join(words[start:end])}
                for kind, start, end in spans_of(tagged.labels[layout.names[0]], scheme)
            ]
        if tagged.probabilities is not None:
            rounded = {name: [round(share, 6) for share in shares] for name, shares in tagged.probabilities.items()}
            content["probabilities"] = rounded
        return json.dumps(content, ensure_ascii=False) + "\n"

    return write


# Colours of a terminal, for labels in the order of their first occurrence.
_COLOURS = (36, 33, 32, 35, 34, 31, 96, 93, 92, 95, 94, 91)


def _terminal(came_as: str, layout: Layout, scheme: str | None) -> Writer:
    colours: dict[str, int] = {}

    def coloured(text: str, label: str) -> str:
        colour = colours.setdefault(label, _COLOURS[len(colours) % len(_COLOURS)])
        return f"\x1b[{colour}m{text}\x1b[0m"

    def write_spans(words: list[str], labels: list[str], scheme: str) -> str:
        pieces, last = [], 0
        for kind, start, end in spans_of(labels, scheme):
            pieces += words[last:start]
            pieces.append(coloured(f"[{' '.join(words[start:end])}]{kind}", kind))
            last = end
        return " ".join([*pieces, *words[last:]]) + "\n"

    def write(tagged: TaggedSentence) -> str:
        words = tagged.sentence.words
        if scheme is not None:
            return write_spans(words, tagged.labels[layout.names[0]], scheme)
        columns = [tagged.labels[name] for name in layout.names]
        first = tagged.probabilities[layout.names[0]] if tagged.probabilities else None
        pieces = []
        for place, (word, *labels) in enumerate(zip(words, *columns, strict=True)):
            share = "" if first is None else f"/{first[place]:.2f}"
            pieces.append(word + coloured("/" + "/".join(labels) + share, labels[0]))
        return " ".join(pieces) + "\n"

    return write


WRITERS: dict[str, Callable[[str, Layout, str | None], Writer]] = {
    "conllu": _conllu,
    "columns": _columns,
    "json": _json,
    "terminal": _terminal,
}
