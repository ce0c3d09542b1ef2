"""Labelled files to encoded sentences: they are checked, divided into training and validation data, and counted."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.holdout import split_last
from recurra.data.label_numbers import MISSING, counted, counts, is_labelled
from recurra.data.span_schemes import SchemeFinder, looks_like_spans
from recurra.data.spans import ALIASES, SCHEMES
from recurra.data.text import check_file
from recurra.data.vectors import read_vectors
from recurra.errors import InputError
from recurra.files import read_object
from recurra.tasks.notes import first_names
from recurra.tasks.tagger.corpus import Codec, TaggedCorpus, encode
from recurra.tasks.tagger.formats import LabelledFiles, Layout, format_of, layout_of
from recurra.tasks.tagger.options import FileOptions
from recurra.tasks.tagger.pretrained import load_pretrained, new_pretrained
from recurra.tasks.tagger.vocabulary import Counts, load_vocabulary

# Beginnings of the names of the encoded sentences, and names of files next to them.
TRAIN, VALID = "train", "valid"
_HEADER, _VECTORS = "tagger.json", "vectors.npy"


@dataclass(frozen=True)
class TaggedData:
    """Encoded sentences of a run.

    Args:
        codec: the vocabulary of the training data, the columns of the files, vectors and language model.
        train: the training data.
        valid: the validation data.
        names: names of the training files, for the card.
    """

    codec: Codec
    train: TaggedCorpus
    valid: TaggedCorpus
    names: list[str]

    def summary(self) -> str:
        """Returns the training data in one line."""
        return f"{self.train.words:,} words in {len(self.train):,} sentences of {first_names(self.names)}"

    def uniform_loss(self) -> float:
        """Returns the loss of a guess among equally likely labels, nats per word, summed over the labels."""
        return sum(math.log(max(1, len(values))) for values in self.codec.vocabulary.labels)

    def notes(self) -> list[str]:
        """Returns sizes, and what to check before training starts, one line each."""
        parts = (("training", self.train), ("validation", self.valid))
        lines = [f"{name} data: {part.words:,} words in {len(part):,} sentences" for name, part in parts]
        lines += self._label_notes()
        vocabulary, pretrained = self.codec.vocabulary, self.codec.pretrained
        if pretrained.words is not None:
            rows = pretrained.rows or {}
            with_vector = sum(1 for form in self.train.forms if form in rows or form.lower() in rows)
            lines.append(f"pretrained vectors: {with_vector:,} of {len(self.train.forms):,} training words have one")
        form_counts = zip(self.valid.forms, self.valid.form_counts(), strict=True)
        unknown = sum(int(count) for form, count in form_counts if not vocabulary.knows(form))
        lines.append(f"validation data: {unknown:,} of {self.valid.words:,} words never occur in the training data")
        return [*lines, *self._missing_notes()]

    def _label_notes(self) -> Iterator[str]:
        """The number of values of each label."""
        scheme = self.codec.scheme
        marked = "" if scheme is None else f", which mark spans as {scheme.upper()} and are coded as BIOES"
        for name, values in zip(self.codec.layout.names, self.codec.vocabulary.labels, strict=True):
            yield f"{name}: {len(values):,} label{'s' if len(values) != 1 else ''}{marked}"
            if len(values) == 1:
                yield f"{name}: every word has the label {values[0]}: there is nothing to learn. Is the column correct?"

    def _missing_notes(self) -> Iterator[str]:
        """Labels that words lack, or that only the validation data has."""
        for title, part in (("training", self.train), ("validation", self.valid)):
            if part.left_out:
                yield f"{title} data: {part.left_out:,} sentences without any label are left out"
            for name, missing, unseen in zip(self.codec.layout.names, part.missing, part.unseen, strict=True):
                if missing:
                    yield f"{title} data: {missing:,} words have no label of {name} and count in no loss or score"
                if unseen:
                    shown = ", ".join(list(unseen)[:5]) + (", …" if len(unseen) > 5 else "")
                    whose = "the training data does not have" if part is self.valid else "this tagger does not have"
                    yield (
                        f"{title} data: {sum(unseen.values()):,} words have a label of {name} that {whose} ({shown}): "
                        "they do not count in the loss, and count as errors in scores"
                    )


def prepare(
    files: Sequence[Path],
    options: FileOptions,
    folder: Path,
    *,
    start: Codec | None = None,
    language_model: Any = None,
) -> TaggedData:
    """Checks the files, builds the vocabulary and encodes the sentences into a folder.

    Args:
        files: training files.
        options: the columns of words and labels, and the division into training and validation data.
        folder: where the encoded sentences go.
        start: the vocabulary and layout of the tagger whose training continues; None to determine them from the files.
        language_model: the model whose states are read; None for none.

    Raises:
        InputError: a file cannot be read or does not fit the layout, or no sentence is left to learn from or to
            validate with.
    """
    if not files:
        raise InputError("no files to train on: name at least one, such as train.conllu")
    for path in (*files, *(options.valid or ())):
        check_file(path)
    if start is None:
        codec, train, valid = _new_codec(files, options, language_model)
    else:
        codec = start
        train, valid = _divide(LabelledFiles(files, codec.layout, codec.scheme, options.repair), options)
    folder.mkdir(parents=True, exist_ok=True)
    corpora = [
        encode(part, codec, folder, name, keep=keep)
        for name, part, keep in ((TRAIN, train, counts), (VALID, valid, is_labelled))
    ]
    data = TaggedData(codec, corpora[0], corpora[1], [path.name for path in files])
    _check_corpora(data, train, valid)
    _write(data, folder)
    return data


def reopen(folder: Path) -> TaggedData:
    """Reads what `prepare` wrote; the files of the user are not needed.

    Raises:
        InputError: a file is missing, damaged or of another version.
    """
    path = folder / _HEADER
    header = read_object(path, missing="train again without --resume", mend="Train again without --resume")
    layout = Layout.from_config(header["layout"], where=str(path))
    # The weights, also those of vectors and language model, are in the checkpoint.
    codec = Codec(load_vocabulary(folder, layout), layout, header["scheme"], load_pretrained(header, folder))
    return TaggedData(codec, TaggedCorpus.open(folder, TRAIN), TaggedCorpus.open(folder, VALID), header["names"])


def _write(data: TaggedData, folder: Path) -> None:
    """Writes what `reopen` needs in addition to the encoded sentences."""
    codec = data.codec
    for name, content in {**codec.vocabulary.files(), **codec.pretrained.files()}.items():
        (folder / name).write_text(content, encoding="utf-8")
    if codec.pretrained.matrix is not None:
        np.save(folder / _VECTORS, codec.pretrained.matrix)
    header = {
        "layout": codec.layout.config(),
        "scheme": codec.scheme,
        "names": data.names,
        **codec.pretrained.config(),
    }
    (folder / _HEADER).write_text(json.dumps(header), encoding="utf-8")


def _new_codec(
    files: Sequence[Path], options: FileOptions, language_model: Any
) -> tuple[Codec, LabelledFiles, LabelledFiles]:
    """The vocabulary of the training data, and the division of the files into training and validation data."""
    layout = layout_of(files, options)
    scheme = scheme_of(LabelledFiles(files, layout), options)
    vectors = None if options.vectors is None else read_vectors(options.vectors, most=options.max_vectors)
    pretrained = new_pretrained(vectors, language_model)
    train, valid = _divide(LabelledFiles(files, layout, scheme, options.repair), options)
    frequencies = Counts(layout, scheme)
    for sentence in train:
        frequencies.add(sentence)
    _check_labels(layout, frequencies, train.paths[0])
    return Codec(frequencies.vocabulary(options.min_count), layout, scheme, pretrained), train, valid


def scheme_of(files: LabelledFiles, options: FileOptions) -> str | None:
    """Determines how labels mark spans: from the options, else from the labels of column files.

    Raises:
        InputError: labels look like those of spans, but fit no known scheme.
    """
    if options.scheme is not None:
        return None if options.scheme == "off" else ALIASES.get(options.scheme, options.scheme)
    if files.layout.format == "conllu":
        return None
    finder = SchemeFinder()
    for sentence in files:
        finder.add(files.layout.labels_of(sentence)[0])
    scheme = finder.scheme()
    if scheme is None and (odd := looks_like_spans(finder.labels)):
        raise InputError(
            f"{files.paths[0]}: labels such as {', '.join(odd)} look like spans, but fit no known scheme "
            f"({', '.join(SCHEMES)}: O, and a letter before the type as in B-PER). Write them so and choose with "
            "--scheme, or treat labels as independent by --scheme off"
        )
    return scheme


def _divide(files: LabelledFiles, options: FileOptions) -> tuple[LabelledFiles, LabelledFiles]:
    """The training and the validation data."""
    if options.valid is not None:
        expected = files.layout.format
        for path in options.valid:
            if format_of(path, options) != expected:
                raise InputError(
                    f"{path}: is {format_of(path, options)} by its name, the training files are {expected}"
                )
        return files, LabelledFiles(options.valid, files.layout, files.scheme, files.repair)
    total = sum(1 for _ in files)
    kept = split_last(total, options.valid_share, where=str(files.paths[0]), items="sentences")
    return files.part(0, kept), files.part(kept, None)


def _check_labels(layout: Layout, frequencies: Counts, path: Path) -> None:
    """Checks that the training data has values of each label."""
    for name, column, labels in zip(layout.names, layout.labels, frequencies.labels, strict=True):
        if labels or not (frequencies.sentences or frequencies.unlabelled):
            continue
        if layout.format == "conllu":
            raise InputError(
                f"{path}: no word of the training data has a label of {name}. Leave {name} out of --labels"
            )
        raise InputError(
            f"{path}: no word of the training data has a label: column {column + 1} is empty. Name the column of the "
            "label by --label-column"
        )


def _check_corpora(data: TaggedData, train: LabelledFiles, valid: LabelledFiles) -> None:
    """Checks that there are sentences to learn from, and labels to validate with."""
    layout = data.codec.layout
    for files, corpus, purpose in ((train, data.train, "learn from"), (valid, data.valid, "validate with")):
        path = files.paths[0]
        if not len(corpus) and not corpus.left_out:
            raise InputError(f"{path}: no sentence to {purpose}, expected one word per line")
        for place, (name, unseen) in enumerate(zip(layout.names, corpus.unseen, strict=True)):
            if unseen and not counted(corpus.labels[:, place]).any():
                shown = ", ".join(list(unseen)[:5])
                raise InputError(
                    f"{path}: none of its labels of {name} ({shown}, …) occurs in the training data. "
                    "Is it a file with the same labels?"
                )
    if not len(data.train):
        names = " or ".join(layout.names)
        raise InputError(f"{train.paths[0]}: no word of the training data has a label of {names}")
    if (data.valid.labels[:, 0] == MISSING).all():
        raise InputError(
            f"{valid.paths[0]}: no word of the validation data has a label of {layout.names[0]}, which determines the "
            "best model. Name files with such labels by --valid"
        )
