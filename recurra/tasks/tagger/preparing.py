"""Files with labels are checked, divided, counted and encoded."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.spans import scheme_of
from recurra.data.text import check_file
from recurra.data.vectors import read_vectors
from recurra.errors import InputError
from recurra.tasks.tagger.beside import Beside, new_beside
from recurra.tasks.tagger.coder import Coder
from recurra.tasks.tagger.corpus import encode
from recurra.tasks.tagger.examples import CODED, Examples
from recurra.tasks.tagger.layout import Layout, format_of, layout_of
from recurra.tasks.tagger.options import FileOptions
from recurra.tasks.tagger.prepared import DATA, TRAIN, VALID, VECTORS, Prepared
from recurra.tasks.tagger.states import reader_of
from recurra.tasks.tagger.vocabulary import Counts


def prepare(
    files: Sequence[Path],
    options: FileOptions,
    folder: Path,
    *,
    start: Coder | None = None,
    language_model: Any = None,
) -> Prepared:
    """Checks the files, builds the vocabulary and encodes the sentences into `folder`.

    Args:
        files: training files.
        options: where they have what, and what is held out.
        folder: where the encoded sentences go.
        start: use this in place of a vocabulary and a layout of the files' own.
        language_model: whose states are read; None for none.

    Raises:
        InputError: a file that cannot be read or is not of the layout, no sentences to learn from or to hold out.
    """
    if not files:
        raise InputError("no files to train on: name at least one, such as train.conllu")
    for path in (*files, *(options.valid or ())):
        check_file(path)
    coder, train, valid = _read(files, options, language_model) if start is None else _read_as(start, files, options)
    folder.mkdir(parents=True, exist_ok=True)
    own = coder.beside.language_model
    read = None if own is None else reader_of(own.network, own.unit)
    corpora = [
        encode(part.coded(), coder.layout, coder.vocabulary, folder, name, read=read)
        for name, part in ((TRAIN, train), (VALID, valid))
    ]
    prepared = Prepared(coder, corpora[0], corpora[1], [path.name for path in files])
    _check(prepared, train, valid)
    _keep(prepared, folder)
    return prepared


def _read(files: Sequence[Path], options: FileOptions, language_model: Any) -> tuple[Coder, Examples, Examples]:
    """What the files are coded by, the sentences to learn from and those held out."""
    layout = layout_of(files, options)
    scheme = scheme_for(Examples(files, layout), options)
    beside = _beside(options, language_model)
    train, valid = _divide(Examples(files, layout, scheme, options.repair), options)
    return Coder(_count(train, layout).vocabulary(options.min_count), layout, scheme, beside), train, valid


def _read_as(start: Coder, files: Sequence[Path], options: FileOptions) -> tuple[Coder, Examples, Examples]:
    """The same of files that are to be read as a tagger reads them."""
    return start, *_divide(Examples(files, start.layout, start.scheme, options.repair), options)


def _keep(prepared: Prepared, folder: Path) -> None:
    """Writes what a run that is resumed needs beside the encoded sentences."""
    coder = prepared.coder
    for name, content in {**coder.vocabulary.files(), **coder.beside.files()}.items():
        (folder / name).write_text(content, encoding="utf-8")
    if coder.beside.matrix is not None:
        np.save(folder / VECTORS, coder.beside.matrix)
    told = {"layout": coder.layout.config(), "scheme": coder.scheme, "names": prepared.names, **coder.beside.config()}
    (folder / DATA).write_text(json.dumps(told), encoding="utf-8")


def _beside(options: FileOptions, language_model: Any) -> Beside:
    vectors = None if options.vectors is None else read_vectors(options.vectors, most=options.max_vectors)
    return new_beside(vectors, language_model)


def scheme_for(examples: Examples, options: FileOptions) -> str | None:
    """How labels mark spans: as chosen, else as the training data's are."""
    if options.scheme is not None:
        return None if options.scheme == "off" else options.scheme
    if examples.layout.format == "conllu":
        return None
    counts = _count(examples, examples.layout)
    return scheme_of(counts.labels[0])


def _count(examples: Examples, layout: Layout) -> Counts:
    counts = Counts(layout, None if examples.scheme is None else CODED)
    for sentence in examples:
        counts.add(sentence)
    return counts


def _divide(examples: Examples, options: FileOptions) -> tuple[Examples, Examples]:
    """The sentences to learn from and those held out."""
    if options.valid is not None:
        chosen = examples.layout.format
        for path in options.valid:
            if format_of(path, options) != chosen:
                raise InputError(f"{path}: is {format_of(path, options)} by its name, the training files are {chosen}")
        return examples, Examples(options.valid, examples.layout, examples.scheme, examples.repair)
    total = _length(examples)
    if total < 2:
        where = examples.paths[0]
        raise InputError(f"{where}: {total} sentences, nothing to hold out. Give more, or name a file by --valid")
    kept = min(total - 1, total - math.ceil(total * options.valid_share))
    return examples.part(0, max(1, kept)), examples.part(max(1, kept), None)


def _length(items: Iterable[Any]) -> int:
    return sum(1 for _ in items)


def _check(prepared: Prepared, train: Examples, valid: Examples) -> None:
    for part, corpus, wanted in ((train, prepared.train, "learn from"), (valid, prepared.valid, "validate with")):
        if not len(corpus):
            raise InputError(f"{part.paths[0]}: no sentence to {wanted}, expected a word a line")
    for name, unseen in zip(prepared.coder.layout.names, prepared.valid.unseen, strict=True):
        if sum(unseen.values()) == prepared.valid.words:
            shown = ", ".join(list(unseen)[:5])
            raise InputError(
                f"{valid.paths[0]}: none of its labels of {name} ({shown}, …) occurs in the training data. "
                "Is it a file with the same labels?"
            )
