"""Where a tagger's files have words, labels and features; and the files as streams of sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from recurra.data.columns import read_columns
from recurra.data.conllu import COLUMNS, EMPTY, FEATS, FORM, read_conllu
from recurra.data.lines import open_bytes
from recurra.data.sentences import Sentence
from recurra.errors import InputError
from recurra.tasks.fields import read_fields
from recurra.tasks.tagger.options import CONLLU_LABELS, FileOptions

LABEL = "label"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Columns, from 0.

    A word has no label where its field is empty or, in UPOS and XPOS of CoNLL-U, `_`. In FEATS, `_` is the label of
    words without features; in column files it is a label like others.

    Args:
        format: conllu or columns.
        word: the column of the word.
        names: what the labels are called.
        labels: the column of each.
        features: the columns of the features.
        columns: how many a row has.
        separator: tab or space, as the first training file; each file is read by its own first row.
    """

    format: str
    word: int
    names: list[str]
    labels: list[int]
    features: list[int]
    columns: int
    separator: str

    def config(self) -> dict[str, Any]:
        """The layout as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_config(cls, fields: Any, *, where: str) -> Layout:
        """The layout that `config` described.

        Raises:
            InputError: a field is missing or of another kind.
        """
        made = read_fields(cls, fields if isinstance(fields, dict) else {}, where=where)
        if not made.names or len(made.names) != len(made.labels) or len(set(made.names)) != len(made.names):
            raise InputError(f"{where}: names are {made.names} of columns {made.labels}, expected as many, none twice")
        return made

    def sentences(self, file: BinaryIO, name: str) -> Iterator[Sentence]:
        """The sentences of an open file of this layout; lines that belong to none as one without words."""
        if self.format == "conllu":
            return read_conllu(file, name)
        return read_columns(file, name, word=self.word, separator=self.separator, columns=self.columns)

    def labels_in(self, sentence: Sentence) -> list[list[str | None]]:
        """For each label its column of the sentence, without spaces around; None for words without a label."""
        columns: list[list[str | None]] = []
        for column in self.labels:
            absent = ("", self.missing(column))
            values = [row[column].strip(" ") for row in sentence.rows]
            columns.append([None if value in absent else value for value in values])
        return columns

    def missing(self, column: int) -> str:
        """What stands in a column in place of a label, besides nothing: `_` in UPOS and XPOS, else nothing."""
        return EMPTY if self.format == "conllu" and column != FEATS else ""

    def features_in(self, sentence: Sentence) -> list[list[str]]:
        """For each feature its column of the sentence."""
        return [[row[column] for row in sentence.rows] for column in self.features]


def format_of(path: Path, options: FileOptions) -> str:
    """The format of a file: as chosen, else by its name."""
    return options.format or ("conllu" if path.suffix == ".conllu" else "columns")


def layout_of(files: Sequence[Path], options: FileOptions) -> Layout:
    """The layout of training files, by the options and the first row.

    Raises:
        InputError: files of two formats, an option for another format, a column that the rows do not have.
    """
    formats = {format_of(path, options): path for path in files}
    if len(formats) > 1:
        both = " and ".join(f"{path} is {name}" for name, path in formats.items())
        raise InputError(f"{both}: expected files of one format. Say which with --format")
    (chosen,) = formats
    if chosen == "conllu":
        if options.label_column is not None or options.feature_columns is not None or options.word_column != 1:
            raise InputError(f"{files[0]}: is CoNLL-U, whose columns have names: choose with --labels, not by column")
        names = options.labels or ["upos"]
        columns = [CONLLU_LABELS[name] for name in names]
        return Layout(
            format=chosen, word=FORM, names=names, labels=columns, features=[], columns=COLUMNS, separator="tab"
        )
    if options.labels is not None:
        raise InputError(f"labels={options.labels}: are those of CoNLL-U, but {files[0]} is read as columns")
    return _columns_of(files[0], options)


def _columns_of(path: Path, options: FileOptions) -> Layout:
    first = _first_sentence(path, options.word_column - 1)
    count = len(first.rows[0])
    separator = "tab" if "\t" in first.lines[first.places[0]] else "space"
    label = count if options.label_column is None else options.label_column
    features = options.feature_columns or []
    where = f"{path}:{first.line_of(0)}"
    for column in (label, *features):
        if column > count:
            raise InputError(f"{where}: {count} columns apart by {separator}s, but column {column} is asked for")
    if label == options.word_column:
        raise InputError(f"{where}: {count} columns apart by {separator}s: no label beside the word. Is it plain text?")
    if len({label, options.word_column, *features}) < 2 + len(features):
        raise InputError(f"feature_columns={features}: expected others than word {options.word_column}, label {label}")
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
    raise InputError(f"{path}: no sentence in it, expected a word a line")
