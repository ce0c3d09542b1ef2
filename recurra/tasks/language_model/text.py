"""From text files to what a language model trains on: a unit, and two encoded corpora on disk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recurra.data import (
    Corpus,
    Text,
    Tokenizer,
    build_tokenizer,
    encode,
    load_tokenizer,
    open_text,
    python_sources,
    split,
)
from recurra.errors import InputError
from recurra.tasks.language_model.options import TextOptions
from recurra.tasks.notes import first_names
from recurra.training import percent

TRAIN, VALID = "train.bin", "valid.bin"


@dataclass(frozen=True)
class Prepared:
    """A text ready to train on.

    Args:
        tokenizer: what it is cut into; the vocabulary is that of the training part alone.
        train: the part to learn from.
        valid: the part held out.
    """

    tokenizer: Tokenizer
    train: Corpus
    valid: Corpus

    def summary(self) -> str:
        """The training text in one line."""
        names = [Path(span.path).name for span in self.train.header.sources]
        return f"{self.train.characters:,} characters of {first_names(names)}"

    def uniform_loss(self) -> float:
        """Log V: the loss of a guess among equally likely tokens."""
        return math.log(self.tokenizer.size)

    def notes(self) -> list[str]:
        """What a person should know of the text before training starts, a line each."""
        lines = [
            f"{name}: {corpus.characters:,} characters, {len(corpus):,} tokens of {self.tokenizer.size:,} kinds"
            for name, corpus in (("training text", self.train), ("validation text", self.valid))
        ]
        for name, corpus in (("training text", self.train), ("validation text", self.valid)):
            if corpus.header.unknown:
                lines.append(f"{name}: {self._unknown(corpus)}")
        return lines

    def _unknown(self, corpus: Corpus) -> str:
        """How much of a text is unknown, and why."""
        header = corpus.header
        shown = ", ".join(repr(symbol) for symbol, _ in header.unknown_symbols[:5])
        more = ", …" if len(header.unknown_symbols) > 5 else ""
        # A vocabulary that has all of the training text lacks only what does not occur there. Else an unknown symbol
        # may well occur: one cut by --vocabulary-size or --min-count, or one of a text that --init-from did not have.
        why = "are outside the vocabulary" if self.train.header.unknown else "never occur in the training text"
        share = percent(header.unknown / len(corpus))
        counted = f"{header.unknown:,} of {len(corpus):,} tokens ({share}) {why} ({shown}{more})"
        if corpus is self.train:
            return f"{counted}: each is learned as <unk>"
        return f"{counted}: each is scored as <unk>, bits per character add the cost of its spelling"


def prepare(
    files: Sequence[Path], options: TextOptions, folder: Path, *, tokenizer: Tokenizer | None = None, least: int = 2
) -> Prepared:
    """Checks the files, builds the unit and encodes the text into `folder`.

    Args:
        files: the text; none for the Python sources of the interpreter's own library.
        options: unit, and what is held out.
        folder: where `train.bin`, `valid.bin` and the unit's files go.
        tokenizer: use this unit in place of building one.
        least: how many tokens the training text must have for one window.

    Raises:
        InputError: a file that is missing, empty or not UTF-8, a text too short to divide or to train on.
    """
    train, valid = divide(files, options)
    tokenizer = tokenizer or build_tokenizer(
        options.unit, train, vocabulary_size=options.vocabulary_size, min_count=options.min_count
    )
    folder.mkdir(parents=True, exist_ok=True)
    prepared = Prepared(tokenizer, encode(train, tokenizer, folder / TRAIN), encode(valid, tokenizer, folder / VALID))
    for name, corpus, needed in (("training", prepared.train, least), ("validation", prepared.valid, 2)):
        if len(corpus) < needed:
            raise InputError(
                f"{corpus.header.sources[0].path}: the {name} text has {len(corpus):,} tokens, but {needed:,} are "
                "needed for one window of each stream. Give more text, or lower --batch-size or --update-every"
            )
    tokenizer.save(folder)
    return prepared


def reopen(folder: Path) -> Prepared:
    """What `prepare` wrote, for a run that is resumed; the text files themselves are no longer needed."""
    tokenizer = load_tokenizer(folder)
    return Prepared(tokenizer, Corpus.open(folder / TRAIN, tokenizer), Corpus.open(folder / VALID, tokenizer))


def divide(files: Sequence[Path], options: TextOptions) -> tuple[Text, Text]:
    """The text to learn from and the text held out."""
    raw = options.unit == "byte"
    if not files:
        if options.valid is not None:
            raise InputError("--valid without a text to train on: name the text files too")
        train, valid = python_sources()
        return open_text(train, raw=raw), open_text(valid, raw=raw)
    if options.valid is not None:
        return open_text(list(files), raw=raw), open_text(options.valid, raw=raw)
    return split(open_text(list(files), raw=raw), options.valid_share, tokenizer=options.unit)
