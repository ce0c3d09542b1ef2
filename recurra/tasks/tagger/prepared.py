"""From files with labels to what a tagger trains on: a vocabulary, and two encoded corpora on disk."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recurra.data.spans import scheme_of
from recurra.data.text import check_file
from recurra.data.vectors import read_vectors
from recurra.errors import InputError
from recurra.tasks.tagger.beside import NOTHING, Beside, load_beside, new_beside
from recurra.tasks.tagger.corpus import TaggedCorpus, encode
from recurra.tasks.tagger.examples import CODED, Examples
from recurra.tasks.tagger.layout import Layout, format_of, layout_of
from recurra.tasks.tagger.options import FileOptions
from recurra.tasks.tagger.states import reader_of
from recurra.tasks.tagger.vocabulary import Counts, Vocabulary, load_vocabulary

TRAIN, VALID, DATA = "train", "valid", "tagger.json"
VECTORS = "vectors.npy"


class Start(NamedTuple):
    """What a tagger to go on from settles."""

    vocabulary: Vocabulary
    layout: Layout
    scheme: str | None
    beside: Beside


@dataclass(frozen=True)
class Prepared:
    """Sentences ready to train on.

    Args:
        vocabulary: that of the training part alone.
        layout: the columns of the files.
        scheme: how labels mark spans; None where they mark none.
        train: the part to learn from.
        valid: the part held out.
        names: the training files, for the card.
        beside: pretrained vectors and a language model, where they are read.
    """

    vocabulary: Vocabulary
    layout: Layout
    scheme: str | None
    train: TaggedCorpus
    valid: TaggedCorpus
    names: list[str]
    beside: Beside = NOTHING

    def summary(self) -> str:
        """The training data in a line."""
        shown = ", ".join(self.names[:5]) + (f" and {len(self.names) - 5:,} files more" if len(self.names) > 5 else "")
        return f"{self.train.words:,} words in {len(self.train):,} sentences of {shown}"

    def notes(self) -> list[str]:
        """What a person should know of the data before training starts, a line each."""
        parts = (("training", self.train), ("validation", self.valid))
        lines = [f"{name} data: {part.words:,} words in {len(part):,} sentences" for name, part in parts]
        for name, values in zip(self.layout.names, self.vocabulary.labels, strict=True):
            marked = (
                "" if self.scheme is None else f", which mark spans as {self.scheme.upper()} and are coded as BIOES"
            )
            lines.append(f"{name}: {len(values):,} labels{marked}")
        if self.beside.words is not None:
            rows = self.beside.rows or {}
            with_vector = sum(1 for form in self.train.forms if form in rows or form.lower() in rows)
            lines.append(f"pretrained vectors: {with_vector:,} of {len(self.train.forms):,} training words have one")
        counts = self.valid.form_counts()
        unknown = sum(
            int(count) for form, count in zip(self.valid.forms, counts, strict=True) if not self.vocabulary.knows(form)
        )
        lines.append(f"validation data: {unknown:,} of {self.valid.words:,} words never occur in the training data")
        for name, unseen in zip(self.layout.names, self.valid.unseen, strict=True):
            if unseen:
                shown = ", ".join(list(unseen)[:5]) + (", …" if len(unseen) > 5 else "")
                lines.append(
                    f"validation data: {sum(unseen.values()):,} words have a label of {name} that the training data "
                    f"never has ({shown}): they have no part in the loss and count as errors"
                )
        return lines


def prepare(
    files: Sequence[Path],
    options: FileOptions,
    folder: Path,
    *,
    start: Start | None = None,
    language_model: Any = None,
) -> Prepared:
    """Checks the files, builds the vocabulary and encodes the sentences into `folder`.

    Args:
        files: training files.
        options: where they have what, and what is held out.
        folder: where the encoded sentences go.
        start: use this vocabulary, layout and scheme in place of those of the files.
        language_model: whose states are read; None for none.

    Raises:
        InputError: a file that cannot be read or is not of the layout, no sentences to learn from or to hold out.
    """
    if not files:
        raise InputError("no files to train on: name at least one, such as train.conllu")
    for path in (*files, *(options.valid or ())):
        check_file(path)
    layout = layout_of(files, options) if start is None else start.layout
    scheme = scheme_for(Examples(files, layout), options) if start is None else start.scheme
    beside = _beside(options, language_model) if start is None else start.beside
    train, valid = _divide(Examples(files, layout, scheme, options.repair), options)
    vocabulary = start.vocabulary if start is not None else _count(train, layout).vocabulary(options.min_count)
    folder.mkdir(parents=True, exist_ok=True)
    own = beside.language_model
    read = None if own is None else reader_of(own.network, own.unit)
    corpora = [
        encode(part.coded(), layout, vocabulary, folder, name, read=read)
        for name, part in ((TRAIN, train), (VALID, valid))
    ]
    prepared = Prepared(vocabulary, layout, scheme, corpora[0], corpora[1], [path.name for path in files], beside)
    _check(prepared, train, valid)
    for name, content in {**vocabulary.files(), **beside.files()}.items():
        (folder / name).write_text(content, encoding="utf-8")
    if beside.matrix is not None:
        np.save(folder / VECTORS, beside.matrix)
    told = {"layout": layout.config(), "scheme": scheme, "names": prepared.names, **beside.config()}
    (folder / DATA).write_text(json.dumps(told), encoding="utf-8")
    return prepared


def reopen(folder: Path) -> Prepared:
    """What `prepare` wrote, for a run that is resumed; the files themselves are no longer needed."""
    path = folder / DATA
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}). Train again without --resume") from None
    layout = Layout.from_config(told["layout"], where=str(path))
    vocabulary = load_vocabulary(folder, layout)
    train, valid = TaggedCorpus.open(folder, TRAIN), TaggedCorpus.open(folder, VALID)
    # The weights, those of vectors and language model too, are in the checkpoint.
    return Prepared(vocabulary, layout, told["scheme"], train, valid, told["names"], load_beside(told, folder))


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
    for name, unseen in zip(prepared.layout.names, prepared.valid.unseen, strict=True):
        if sum(unseen.values()) == prepared.valid.words:
            shown = ", ".join(list(unseen)[:5])
            raise InputError(
                f"{valid.paths[0]}: none of its labels of {name} ({shown}, …) occurs in the training data. "
                "Is it a file with the same labels?"
            )
