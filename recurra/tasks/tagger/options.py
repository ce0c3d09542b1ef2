"""The options of a tagger; each field is an option of `recurra train tagger`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from recurra.data.holdout import check_share
from recurra.data.spans import check_scheme
from recurra.errors import InputError, nearest
from recurra.tasks.recurrent_options import RecurrentOptions

FORMATS = ("conllu", "columns")
CONLLU_LABELS = {"upos": 3, "xpos": 4, "feats": 5}
DECODERS = ("softmax", "crf")


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """The files: the columns of words and labels, validation data, pretrained vectors and language model.

    Raises:
        InputError: an unknown format, label or scheme, or a number out of range.
    """

    valid: list[Path] | None = None
    """Files of validation data, instead of a share of the sentences."""
    valid_share: float = 0.1
    """Share of the sentences, the last ones, that are the validation data if --valid names no files."""
    format: str | None = None
    """conllu or columns. Default: conllu for files named *.conllu, else columns."""
    labels: list[str] | None = None
    """Labels to predict of CoNLL-U: one or several of upos, xpos and feats; the first determines the best model.
    Default: upos."""
    word_column: int = 1
    """Column of the word in column files, from 1."""
    label_column: int | None = None
    """Column of the label in column files, from 1. Default: the last."""
    feature_columns: list[int] | None = None
    """Columns that the network reads in addition to the word, such as the part of speech."""
    scheme: str | None = None
    """How labels mark spans: bio (IOB2), iob1, io, bioes, bilou, bmes, bmewo; or off (none) if they mark none.
    Default: determined from the labels of the training data."""
    repair: bool = False
    """Correct span labels that are not well formed, such as I- after O, instead of refusing them."""
    vectors: Path | None = None
    """File of pretrained word vectors, .vec or .txt, gzipped or not; they are an additional input and not trained."""
    max_vectors: int | None = None
    """Read only the first N vectors. Default: all."""
    language_model: Path | None = None
    """Folder of a language model whose states are an additional input; it is not trained."""
    min_count: int = 2
    """Words and characters with fewer occurrences in the training data are unknown."""

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in FORMATS:
            raise InputError(f"there is no format {self.format!r}. {nearest(self.format, FORMATS)}")
        for name in self.labels or ():
            if name not in CONLLU_LABELS:
                raise InputError(
                    f"labels={self.labels}: there is no label {name!r} in CoNLL-U. {nearest(name, CONLLU_LABELS)}"
                )
        if self.labels is not None and not 0 < len(self.labels) == len(set(self.labels)):
            raise InputError(f"labels={self.labels}: expected one or more, each once")
        if self.scheme == "none":
            # In a recipe, "none" means that the option has no value: the value itself needs another name.
            object.__setattr__(self, "scheme", "off")
        if self.scheme not in (None, "off"):
            check_scheme(self.scheme)
        self._check_columns()
        check_share(self.valid_share)
        if self.max_vectors is not None and (self.vectors is None or self.max_vectors < 1):
            raise InputError(f"max_vectors={self.max_vectors}: expected 1 or more, together with --vectors")
        if self.min_count < 1:
            raise InputError(f"min_count={self.min_count}: expected 1 or more")

    def _check_columns(self) -> None:
        columns = {"word_column": [self.word_column], "feature_columns": self.feature_columns or ()}
        columns["label_column"] = [] if self.label_column is None else [self.label_column]
        for name, numbers in columns.items():
            if any(number < 1 for number in numbers):
                raise InputError(f"{name}={getattr(self, name)}: expected columns from 1 on")
        if self.word_column == self.label_column:
            raise InputError(f"word_column and label_column are both {self.word_column}: expected two columns")


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The network: embeddings of words, characters and features, recurrent layers, a softmax or random field.

    Raises:
        InputError: an unknown decoder, or a size out of range.
    """

    recurrent: RecurrentOptions = field(
        default_factory=lambda: RecurrentOptions(
            hidden_size=200, num_layers=2, bidirectional=True, dropout=0.33, locked_dropout=True
        ),
        metadata={
            "help": {
                "hidden_size": "Units of each recurrent layer and direction.",
                "bidirectional": "Read sentences in both directions; with one, words can be tagged as they arrive.",
            }
        },
    )
    word_size: int = 100
    """Size of the embedding of words; 0 for none."""
    character_size: int = 50
    """Size of the embedding of characters; 0 for a network that reads no characters."""
    spelling_size: int = 75
    """Units of the recurrent layer over the characters of a word, in each direction. Its other options are those of the
    recurrent layers over words."""
    affix_size: int = 50
    """Size of the embedding of prefixes and suffixes of up to four characters, such as -ing; 0 for none."""
    feature_size: int = 20
    """Size of the embedding of the values of a feature column."""
    decoder: str | None = None
    """softmax, which predicts each label independently, or crf, a conditional random field over the sentence. Default:
    crf for spans, else softmax."""

    def __post_init__(self) -> None:
        if self.decoder is not None and self.decoder not in DECODERS:
            raise InputError(f"there is no decoder {self.decoder!r}. {nearest(self.decoder, DECODERS)}")
        for name, least in (("word_size", 0), ("character_size", 0), ("affix_size", 0), ("feature_size", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name}={getattr(self, name)}: expected {least} or more")
        if not (self.word_size or self.character_size or self.affix_size):
            raise InputError(
                "word_size=0, character_size=0 and affix_size=0: the network would read nothing. Increase one of them"
            )


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Batches and regularisation.

    Raises:
        InputError: a number out of range.
    """

    batch_tokens: int = 500
    """Words per batch."""
    word_dropout: float = 0.5
    """α: a word that occurs n times in the training data is read as unknown in α / (α + n) of its occurrences."""
    label_smoothing: float = 0.0
    """Share of the target probability that is distributed over all labels during training; softmax only."""

    def __post_init__(self) -> None:
        if not self.word_dropout >= 0:
            raise InputError(f"word_dropout={self.word_dropout}: expected 0 or more")
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"label_smoothing={self.label_smoothing}: expected 0 up to, not including, 1")


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """How `recurra evaluate` reads files."""

    repair: bool = False
    """Correct span labels that are not well formed, instead of refusing them."""
