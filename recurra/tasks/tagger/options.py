"""What a person can choose about a tagger; each field is an option of `recurra train tagger`."""

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
    """The files: where words and labels stand, and what is held out.

    Raises:
        InputError: a format, label or scheme that is not known, a column that cannot be.
    """

    valid: list[Path] | None = None
    """Files to validate with, in place of a share of the sentences."""
    valid_share: float = 0.1
    """The last share of the sentences, held out to validate with where no valid files are named."""
    format: str | None = None
    """conllu or columns. Default: conllu for files named *.conllu, else columns."""
    labels: list[str] | None = None
    """What to predict of CoNLL-U: one or several of upos, xpos and feats; the first decides what model is best.
    Default: upos."""
    word_column: int = 1
    """The column of the word, from 1, in column files."""
    label_column: int | None = None
    """The column of the label. Default: the last."""
    feature_columns: list[int] | None = None
    """Columns that the network reads beside the word, such as that of the part of speech."""
    scheme: str | None = None
    """How labels mark spans: bio (IOB2), iob1, io, bioes, bilou, bmes, bmewo; or off (none) where they mark none.
    Default: as the labels of the training data do."""
    repair: bool = False
    """Mend span labels that are not well formed, such as I- after O, in place of refusing them."""
    vectors: Path | None = None
    """Pretrained word vectors to read beside the word: .vec or .txt, gzipped or not. They are not trained."""
    max_vectors: int | None = None
    """Read only so many of them, the first. Default: all."""
    language_model: Path | None = None
    """The folder of a language model whose states are read beside the word. It is not trained."""
    min_count: int = 2
    """Words and characters that the training data has less often are unknown."""

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in FORMATS:
            raise InputError(f"there is no format {self.format!r}. {nearest(self.format, FORMATS)}")
        for name in self.labels or ():
            if name not in CONLLU_LABELS:
                raise InputError(
                    f"labels={self.labels}: there is no label {name!r} in CoNLL-U. {nearest(name, CONLLU_LABELS)}"
                )
        if self.labels is not None and not 0 < len(self.labels) == len(set(self.labels)):
            raise InputError(f"labels={self.labels}: expected one or more, none twice")
        if self.scheme == "none":
            # A recipe writes an option that is not chosen as "none": what is chosen goes by another name.
            object.__setattr__(self, "scheme", "off")
        if self.scheme not in (None, "off"):
            check_scheme(self.scheme)
        columns = {"word_column": [self.word_column], "feature_columns": self.feature_columns or ()}
        columns["label_column"] = [] if self.label_column is None else [self.label_column]
        for name, numbers in columns.items():
            if any(number < 1 for number in numbers):
                raise InputError(f"{name}={getattr(self, name)}: columns are counted from 1")
        if self.word_column == self.label_column:
            raise InputError(f"word_column and label_column are both {self.word_column}: name two")
        check_share(self.valid_share)
        if self.max_vectors is not None and (self.vectors is None or self.max_vectors < 1):
            raise InputError(f"max_vectors={self.max_vectors}: expected 1 or more, and a file of --vectors")
        if self.min_count < 1:
            raise InputError(f"min_count={self.min_count}: expected 1 or more")


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The network: words, their characters and features, a stack of recurrent layers, a softmax or random field.

    Raises:
        InputError: a decoder that is not known, a size below 0.
    """

    recurrent: RecurrentOptions = field(
        default_factory=lambda: RecurrentOptions(
            hidden_size=200, num_layers=2, bidirectional=True, dropout=0.33, locked_dropout=True
        ),
        metadata={
            "help": {
                "hidden_size": "Units of each recurrent layer and direction.",
                "bidirectional": "Read sentences from both ends; without it, words can be tagged as they arrive.",
            }
        },
    )
    word_size: int = 100
    """Numbers that stand for a word."""
    character_size: int = 50
    """Numbers that stand for a character; 0 for a network without characters."""
    spelling_size: int = 75
    """Units of the recurrent layer that reads a word's characters, in each direction. Its other options are those
    of the recurrent layers over words."""
    affix_size: int = 50
    """Numbers that stand for a beginning or end of words, such as -ing, up to four characters; 0 for none."""
    feature_size: int = 20
    """Numbers that stand for a value of a feature column."""
    decoder: str | None = None
    """softmax, each label by itself, or crf, a conditional random field over the sentence. Default: crf for spans."""

    def __post_init__(self) -> None:
        if self.decoder is not None and self.decoder not in DECODERS:
            raise InputError(f"there is no decoder {self.decoder!r}. {nearest(self.decoder, DECODERS)}")
        for name, least in (("word_size", 0), ("character_size", 0), ("affix_size", 0), ("feature_size", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name}={getattr(self, name)}: expected {least} or more")
        if not (self.word_size or self.character_size or self.affix_size):
            raise InputError(
                "word_size=0, character_size=0 and affix_size=0: the network would read nothing. Give one of them"
            )


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Batches, and what is hidden from the network while it trains.

    Raises:
        InputError: a number out of range.
    """

    batch_tokens: int = 500
    """Words in a batch."""
    word_dropout: float = 0.5
    """α: a word that occurs n times in training is read as unknown in α / (α + n) of its occurrences."""
    label_smoothing: float = 0.0
    """Share of the label's probability that is spread over all labels while training; softmax only."""

    def __post_init__(self) -> None:
        if not self.word_dropout >= 0:
            raise InputError(f"word_dropout={self.word_dropout}: expected 0 or more")
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"label_smoothing={self.label_smoothing}: expected 0 up to, not including, 1")


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """How the files that a tagger is evaluated on are read."""

    repair: bool = False
    """Mend span labels that are not well formed, in place of refusing them."""
