"""Text files to the data of a run: a tokenizer and two encoded texts, one for training and one for validation."""

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
# Number of unknown symbols that a note shows.
_SHOWN_UNKNOWN = 5


@dataclass(frozen=True)
class TextData:
    """The data of a language model: implements `recurra.tasks.implementation.Data`.

    Args:
        tokenizer: cuts text into tokens; its vocabulary is built from the training text alone.
        train: the encoded training text.
        valid: the encoded validation text.
    """

    tokenizer: Tokenizer
    train: Corpus
    valid: Corpus

    def summary(self) -> str:
        """Returns the training text in one line, for the card of the model."""
        names = [Path(span.path).name for span in self.train.header.sources]
        return f"{self.train.characters:,} characters of {first_names(names)}"

    def uniform_loss(self) -> float:
        """Returns the loss of a uniform guess over the vocabulary, log V, in nats per token."""
        return math.log(self.tokenizer.size)

    def notes(self) -> list[str]:
        """Returns the lines to show before training: the size of both texts, and their unknown tokens if any."""
        corpora = {"training text": self.train, "validation text": self.valid}
        sizes = [
            f"{name}: {corpus.characters:,} characters, {len(corpus):,} tokens of {self.tokenizer.size:,} kinds"
            for name, corpus in corpora.items()
        ]
        unknown = [f"{name}: {self._unknown_note(corpus)}" for name, corpus in corpora.items() if corpus.header.unknown]
        return sizes + unknown

    def _unknown_note(self, corpus: Corpus) -> str:
        """Returns how many tokens of a text are unknown, and why."""
        header = corpus.header
        shown = ", ".join(repr(symbol) for symbol, _ in header.unknown_symbols[:_SHOWN_UNKNOWN])
        more = ", …" if len(header.unknown_symbols) > _SHOWN_UNKNOWN else ""
        # If the vocabulary covers the training text, an unknown symbol does not occur in it. Otherwise it may occur:
        # --vocabulary-size or --min-count left it out, or the model of --init-from was trained without it.
        why = "are outside the vocabulary" if self.train.header.unknown else "never occur in the training text"
        share = percent(header.unknown / len(corpus))
        counts = f"{header.unknown:,} of {len(corpus):,} tokens ({share}) {why} ({shown}{more})"
        if corpus is self.train:
            return f"{counts}: each is learned as <unk>"
        return f"{counts}: each is scored as <unk>, bits per character add the cost of its spelling"


def prepare(
    files: Sequence[Path], options: TextOptions, folder: Path, *, tokenizer: Tokenizer | None = None, least: int = 2
) -> TextData:
    """Checks the files, builds the tokenizer and encodes both texts into a folder.

    Args:
        files: the text files; none for the Python sources of the standard library.
        options: the tokenizer, and what is held out for validation.
        folder: where `train.bin`, `valid.bin` and the tokenizer's files are written.
        tokenizer: the tokenizer of an earlier model; None to build one from the training text.
        least: the smallest allowed number of tokens of the training text.

    Raises:
        InputError: a file is missing, empty or not UTF-8, or a text is too short.
    """
    train, valid = divide(files, options)
    tokenizer = tokenizer or build_tokenizer(
        options.unit, train, vocabulary_size=options.vocabulary_size, min_count=options.min_count
    )
    folder.mkdir(parents=True, exist_ok=True)
    data = TextData(tokenizer, encode(train, tokenizer, folder / TRAIN), encode(valid, tokenizer, folder / VALID))
    advice = "for one window of each stream. Use more text, or lower --batch-size or --update-every"
    _check_length(data.train, least, "training", advice)
    _check_length(data.valid, 2, "validation", "to predict one of them. Use more text")
    tokenizer.save(folder)
    return data


def _check_length(corpus: Corpus, least: int, name: str, advice: str) -> None:
    if len(corpus) < least:
        raise InputError(
            f"{corpus.header.sources[0].path}: the {name} text has {len(corpus):,} tokens, but {least:,} are needed "
            f"{advice}"
        )


def reopen(folder: Path) -> TextData:
    """Reads what `prepare` wrote; the text files themselves are no longer needed."""
    tokenizer = load_tokenizer(folder)
    return TextData(tokenizer, Corpus.open(folder / TRAIN, tokenizer), Corpus.open(folder / VALID, tokenizer))


def divide(files: Sequence[Path], options: TextOptions) -> tuple[Text, Text]:
    """Returns the training text and the validation text; `valid_share` divides one text by characters.

    Raises:
        InputError: a file cannot be read, a text is too short to divide, or `valid` is set without training files.
    """
    raw = options.unit == "byte"
    if not files:
        if options.valid is not None:
            raise InputError("--valid is set, but there are no training files. Name the training files too")
        train, valid = python_sources()
        return open_text(train, raw=raw), open_text(valid, raw=raw)
    if options.valid is not None:
        return open_text(list(files), raw=raw), open_text(options.valid, raw=raw)
    return split(open_text(list(files), raw=raw), options.valid_share, tokenizer=options.unit)
