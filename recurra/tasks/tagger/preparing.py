"""Files with labels are checked, divided, counted and encoded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.holdout import split_last
from recurra.data.span_schemes import SchemeFinder, looks_like_spans
from recurra.data.spans import ALIASES, SCHEMES
from recurra.data.text import check_file
from recurra.data.vectors import read_vectors
from recurra.errors import InputError
from recurra.tasks.tagger.codec import Codec
from recurra.tasks.tagger.corpus import TaggedCorpus, encode
from recurra.tasks.tagger.examples import Examples
from recurra.tasks.tagger.label_numbers import counts, is_labelled
from recurra.tasks.tagger.layout import Layout, format_of, layout_of
from recurra.tasks.tagger.lm_features import StateReader
from recurra.tasks.tagger.options import FileOptions
from recurra.tasks.tagger.prepared import DATA, TRAIN, VALID, VECTORS, Prepared
from recurra.tasks.tagger.pretrained import Pretrained, new_pretrained
from recurra.tasks.tagger.vocabulary import Counts


def prepare(
    files: Sequence[Path],
    options: FileOptions,
    folder: Path,
    *,
    start: Codec | None = None,
    language_model: Any = None,
) -> Prepared:
    """Checks the files, builds the vocabulary and encodes the sentences into `folder`.

    Args:
        files: training files.
        options: where they have words and labels, and which part is held out.
        folder: where the encoded sentences go.
        start: use this vocabulary and layout in place of those of the files.
        language_model: whose states are read; None for none.

    Raises:
        InputError: a file that cannot be read or is not of the layout, no sentences to learn from or to hold out.
    """
    if not files:
        raise InputError("no files to train on: name at least one, such as train.conllu")
    for path in (*files, *(options.valid or ())):
        check_file(path)
    codec, train, valid = _read(files, options, language_model) if start is None else _read_as(start, files, options)
    folder.mkdir(parents=True, exist_ok=True)
    pretrained_lm = codec.pretrained.language_model
    read = None if pretrained_lm is None else StateReader(pretrained_lm.network, pretrained_lm.tokenizer)
    corpora = [
        encode(
            part.coded(),
            codec.layout,
            codec.vocabulary,
            folder,
            name,
            spans=codec.scheme is not None,
            keep=keep,
            read=read,
        )
        for name, part, keep in ((TRAIN, train, counts), (VALID, valid, is_labelled))
    ]
    prepared = Prepared(codec, corpora[0], corpora[1], [path.name for path in files])
    _check(prepared, train, valid)
    _keep(prepared, folder)
    return prepared


def _read(files: Sequence[Path], options: FileOptions, language_model: Any) -> tuple[Codec, Examples, Examples]:
    """What the files are coded by, the sentences to learn from and those held out."""
    layout = layout_of(files, options)
    scheme = scheme_for(Examples(files, layout), options)
    pretrained = _beside(options, language_model)
    train, valid = _divide(Examples(files, layout, scheme, options.repair), options)
    counted = _count(train, layout)
    check_labels(layout, counted, train)
    return Codec(counted.vocabulary(options.min_count), layout, scheme, pretrained), train, valid


def _read_as(start: Codec, files: Sequence[Path], options: FileOptions) -> tuple[Codec, Examples, Examples]:
    """The same of files that are to be read as a tagger reads them."""
    return start, *_divide(Examples(files, start.layout, start.scheme, options.repair), options)


def _keep(prepared: Prepared, folder: Path) -> None:
    """Writes what a run that is resumed needs in addition to the encoded sentences."""
    codec = prepared.codec
    for name, content in {**codec.vocabulary.files(), **codec.pretrained.files()}.items():
        (folder / name).write_text(content, encoding="utf-8")
    if codec.pretrained.matrix is not None:
        np.save(folder / VECTORS, codec.pretrained.matrix)
    header = {
        "layout": codec.layout.config(),
        "scheme": codec.scheme,
        "names": prepared.names,
        **codec.pretrained.config(),
    }
    (folder / DATA).write_text(json.dumps(header), encoding="utf-8")


def _beside(options: FileOptions, language_model: Any) -> Pretrained:
    vectors = None if options.vectors is None else read_vectors(options.vectors, most=options.max_vectors)
    return new_pretrained(vectors, language_model)


def scheme_for(examples: Examples, options: FileOptions) -> str | None:
    """How labels mark spans: as chosen, else as the training data's do.

    Raises:
        InputError: labels that look like those of spans in no scheme that is known.
    """
    if options.scheme is not None:
        return None if options.scheme == "off" else ALIASES.get(options.scheme, options.scheme)
    if examples.layout.format == "conllu":
        return None
    finder = SchemeFinder()
    for sentence in examples:
        finder.add(examples.layout.labels_in(sentence)[0])
    scheme = finder.scheme()
    if scheme is None and (odd := looks_like_spans(finder.labels)):
        raise InputError(
            f"{examples.paths[0]}: labels such as {', '.join(odd)} look like spans, but in no scheme that is known "
            f"({', '.join(SCHEMES)}: O, and a letter before the type as in B-PER). Write them so and choose with "
            "--scheme, or take labels one by one by --scheme off"
        )
    return scheme


def _count(examples: Examples, layout: Layout) -> Counts:
    counted = Counts(layout, examples.scheme)
    for sentence in examples:
        counted.add(sentence)
    return counted


def _divide(examples: Examples, options: FileOptions) -> tuple[Examples, Examples]:
    """The sentences to learn from and those held out."""
    if options.valid is not None:
        chosen = examples.layout.format
        for path in options.valid:
            if format_of(path, options) != chosen:
                raise InputError(f"{path}: is {format_of(path, options)} by its name, the training files are {chosen}")
        return examples, Examples(options.valid, examples.layout, examples.scheme, examples.repair)
    total = sum(1 for _ in examples)
    kept = split_last(total, options.valid_share, where=str(examples.paths[0]), items="sentences")
    return examples.part(0, kept), examples.part(kept, None)


def _check(prepared: Prepared, train: Examples, valid: Examples) -> None:
    layout = prepared.codec.layout
    for part, corpus, purpose in ((train, prepared.train, "learn from"), (valid, prepared.valid, "validate with")):
        where = part.paths[0]
        if not len(corpus) and not corpus.left_out:
            raise InputError(f"{where}: no sentence to {purpose}, expected a word a line")
        for place, name in enumerate(layout.names):
            unseen = corpus.unseen[place]
            if unseen and not any(counts(number) for number in _labels(corpus, place)):
                shown = ", ".join(list(unseen)[:5])
                raise InputError(
                    f"{where}: none of its labels of {name} ({shown}, …) occurs in the training data. "
                    "Is it a file with the same labels?"
                )
    if not len(prepared.train):
        names = " or ".join(layout.names)
        raise InputError(f"{train.paths[0]}: no word of the training data has a label of {names}")
    name = layout.names[0]
    if not any(is_labelled(number) for number in _labels(prepared.valid, 0)):
        raise InputError(
            f"{valid.paths[0]}: no word of the validation data has a label of {name}, which decides which model is the "
            "best. Name files that have by --valid"
        )


def _labels(corpus: TaggedCorpus, place: int) -> list[int]:
    """The numbers of one label of all words."""
    numbers: list[int] = corpus.labels[:, place].tolist()
    return numbers


def check_labels(layout: Layout, counted: Counts, train: Examples) -> None:
    """Refuses training data without any value of some label.

    Raises:
        InputError: with the label.
    """
    for name, column, labels in zip(layout.names, layout.labels, counted.labels, strict=True):
        if labels or not (counted.sentences or counted.unlabelled):
            continue
        if layout.format == "conllu":
            raise InputError(
                f"{train.paths[0]}: no word of the training data has a label of {name}. Leave {name} out of --labels"
            )
        raise InputError(
            f"{train.paths[0]}: no word of the training data has a label: column {column + 1} is empty. Name the "
            "column of the label by --label-column"
        )
