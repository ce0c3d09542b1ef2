"""Files of labelled sentences, CoNLL-U or columns: which columns hold words, labels and features; the sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from recurra.data.columns import read_columns
from recurra.data.conllu import COLUMNS, EMPTY, FEATS, FORM, read_conllu
from recurra.data.lines import open_bytes
from recurra.data.partial_spans import repair
from recurra.data.sentences import Sentence
from recurra.data.spans import first_fault
from recurra.errors import InputError
from recurra.tasks.fields import read_fields
from recurra.tasks.tagger.options import CONLLU_LABELS, FileOptions

LABEL = "label"
# A word without features, or with the values of its feature columns.
Word = str | tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The columns of files, from 0.

    A word has no label if its field is empty or, in UPOS and XPOS of CoNLL-U, `_`. In FEATS, `_` is the label of words
    without features; in column files it is a label like others.

    Args:
        format: conllu or columns.
        word: the column of the word.
        names: the names of the labels.
        labels: the column of each label.
        features: the columns of the features.
        columns: number of columns of a row.
        separator: tab or space, that of the first training file; each file is read by its own first row.
    """

    format: str
    word: int
    names: list[str]
    labels: list[int]
    features: list[int]
    columns: int
    separator: str

    def config(self) -> dict[str, Any]:
        """Returns the layout as JSON can represent it."""
        return asdict(self)

    @classmethod
    def from_config(cls, fields: Any, *, where: str) -> Layout:
        """Returns the layout that `config` described.

        Raises:
            InputError: a field is missing or of another type.
        """
        layout = read_fields(cls, fields if isinstance(fields, dict) else {}, where=where)
        if not layout.names or len(layout.names) != len(layout.labels) or len(set(layout.names)) != len(layout.names):
            raise InputError(
                f"{where}: names are {layout.names} of columns {layout.labels}, expected a distinct name per column"
            )
        return layout

    def sentences(self, file: BinaryIO, name: str) -> Iterator[Sentence]:
        """Iterates over the sentences of an open file; a sentence without words holds lines between sentences."""
        if self.format == "conllu":
            return read_conllu(file, name)
        return read_columns(file, name, word=self.word, separator=self.separator, columns=self.columns)

    def sentence(self, words: Sequence[Word], *, place: int) -> Sentence:
        """Returns a sentence of Python values, as if it came from a file.

        Args:
            words: the words; tuples (word, feature, …) if the layout has features.
            place: the sentence's number, for error messages.

        Raises:
            InputError: a string instead of a list, an empty word, a word without its features.
        """
        if isinstance(words, str):
            raise InputError(f"sentence {place} is the string {words[:40]!r}, expected a list of words: split it first")
        rows, forms = [], []
        for word in words:
            parts = (word,) if isinstance(word, str) else tuple(word)
            if len(parts) != 1 + len(self.features):
                wanted = f"a tuple of the word and {len(self.features)} features" if self.features else "a string"
                raise InputError(f"sentence {place}: {word!r}, expected {wanted}")
            if not all(isinstance(part, str) and part for part in parts):
                raise InputError(f"sentence {place}: {word!r}, expected words that are not empty")
            row = [""] * self.columns
            for column, part in zip((self.word, *self.features), parts, strict=True):
                row[column] = part
            rows.append(row)
            forms.append(parts[0])
        return Sentence(forms, rows)

    def labels_of(self, sentence: Sentence) -> list[list[str | None]]:
        """Returns the values of each label, without surrounding spaces; None for words without a label."""
        columns: list[list[str | None]] = []
        for column in self.labels:
            absent = ("", self._missing(column))
            values = [row[column].strip(" ") for row in sentence.rows]
            columns.append([None if value in absent else value for value in values])
        return columns

    def features_of(self, sentence: Sentence) -> list[list[str]]:
        """Returns the values of each feature."""
        return [[row[column] for row in sentence.rows] for column in self.features]

    def with_labels(self, sentence: Sentence, labels: Iterable[Sequence[str | None]]) -> Sentence:
        """Returns the sentence with other values of each label; None for words without a label."""
        rows = [row.copy() for row in sentence.rows]
        for column, values in zip(self.labels, labels, strict=True):
            for row, value in zip(rows, values, strict=True):
                row[column] = self._missing(column) if value is None else value
        return replace(sentence, rows=rows)

    def _missing(self, column: int) -> str:
        """The field that means "no label" besides the empty one: `_` in UPOS and XPOS."""
        return EMPTY if self.format == "conllu" and column != FEATS else ""


def format_of(path: Path, options: FileOptions) -> str:
    """Returns the format of a file: that of the options, else by its name."""
    return options.format or ("conllu" if path.suffix == ".conllu" else "columns")


def layout_of(files: Sequence[Path], options: FileOptions) -> Layout:
    """Determines the layout of training files from the options and the first row.

    Raises:
        InputError: files of two formats, an option for another format, a column that the rows do not have.
    """
    formats = {format_of(path, options): path for path in files}
    if len(formats) > 1:
        both = " and ".join(f"{path} is {name}" for name, path in formats.items())
        raise InputError(f"{both}: expected files of one format. Name it by --format")
    (name,) = formats
    if name == "columns":
        if options.labels is not None:
            raise InputError(f"labels={options.labels}: are those of CoNLL-U, but {files[0]} is read as columns")
        return _layout_of_columns(files[0], options)
    if options.label_column is not None or options.feature_columns is not None or options.word_column != 1:
        raise InputError(f"{files[0]}: is CoNLL-U, whose columns have names: choose with --labels, not by column")
    names = options.labels or ["upos"]
    columns = [CONLLU_LABELS[label] for label in names]
    return Layout(format=name, word=FORM, names=names, labels=columns, features=[], columns=COLUMNS, separator="tab")


def _layout_of_columns(path: Path, options: FileOptions) -> Layout:
    first = _first_sentence(path, options.word_column - 1)
    count = len(first.rows[0])
    separator = "tab" if "\t" in first.lines[first.places[0]] else "space"
    label = count if options.label_column is None else options.label_column
    features = options.feature_columns or []
    where = f"{path}:{first.line_of(0)}: {count} columns separated by {separator}s"
    for column in (label, *features):
        if column > count:
            raise InputError(f"{where}, but the options name column {column}")
    if label == options.word_column:
        raise InputError(f"{where}: no label next to the word. Is it plain text?")
    if len({label, options.word_column, *features}) < 2 + len(features):
        raise InputError(
            f"feature_columns={features}: expected columns other than {options.word_column} (word) and {label} (label)"
        )
    return Layout(
        format="columns",
        word=options.word_column - 1,
        names=[LABEL],
        labels=[label - 1],
        features=[column - 1 for column in features],
        columns=count,
        separator=separator,
    )


def _first_sentence(path: Path, word: int) -> Sentence:
    with open_bytes(path) as file:
        for sentence in read_columns(file, str(path), word=word):
            if sentence.words:
                return sentence
    raise InputError(f"{path}: no sentence in it, expected one word per line")


@dataclass(frozen=True)
class LabelledFiles:
    """The labelled sentences of files, or a range of them; read from disk at each iteration.

    Args:
        paths: the files.
        layout: their columns.
        scheme: how labels mark spans, of `recurra.data.spans.SCHEMES`; None if they mark none.
        repair: correct span labels that are not well formed, instead of refusing them.
        first: the number of the first sentence, counted over all files.
        last: the number after the last; None for all.
    """

    paths: Sequence[Path]
    layout: Layout
    scheme: str | None = None
    repair: bool = False
    first: int = 0
    last: int | None = None

    def part(self, first: int, last: int | None) -> LabelledFiles:
        """Returns sentences `first` to before `last`."""
        return replace(self, first=first, last=last)

    def __iter__(self) -> Iterator[Sentence]:
        """Iterates over the sentences with words, their span labels well formed.

        Raises:
            InputError: a line does not fit the layout, or span labels are not well formed; with file and line.
        """
        number = 0
        for path in self.paths:
            with open_bytes(path) as file:
                for sentence in self.layout.sentences(file, str(path)):
                    if not sentence.words:
                        continue
                    if self.last is not None and number >= self.last:
                        return
                    if number >= self.first:
                        yield sentence if self.scheme is None else self._well_formed(sentence, path, self.scheme)
                    number += 1

    def _well_formed(self, sentence: Sentence, path: Path, scheme: str) -> Sentence:
        columns: list[Sequence[str | None]] = []
        for labels in self.layout.labels_of(sentence):
            fault = first_fault(labels, scheme)
            if fault is not None and not self.repair:
                place, why = fault
                raise InputError(
                    f"{path}:{sentence.line_of(place)}: {why}, expected well-formed {scheme.upper()}. Correct the "
                    "file, or let --repair correct it as scorers read it, or treat labels as independent by "
                    "--scheme off"
                )
            columns.append(labels if fault is None else repair(labels, scheme))
        return self.layout.with_labels(sentence, columns)
