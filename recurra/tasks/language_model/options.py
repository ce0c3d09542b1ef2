"""What a person can choose about a language model; each field is an option of `recurra train lm`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from recurra.data import check_tokenizer
from recurra.data.holdout import check_share
from recurra.errors import InputError
from recurra.tasks.recurrent_options import RecurrentOptions


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """The text: what it is cut into and what is held out.

    Raises:
        InputError: an unknown unit, an option that the unit has no use for, a share outside 0 to 1.
    """

    valid: list[Path] | None = None
    """Files to validate with, in place of a share of the text."""
    valid_share: float = 0.1
    """The last share of the characters, held out to validate with where no valid files are named."""
    unit: str = "char"
    """What the text is cut into: char (Unicode code points), byte, word or bpe (subwords)."""
    vocabulary_size: int | None = None
    """At most so many words, or exactly so many subwords. Default: all words, 4096 subwords."""
    min_count: int = 1
    """Characters or words that the training text has less often are unknown."""

    def __post_init__(self) -> None:
        check_tokenizer(self.unit, vocabulary_size=self.vocabulary_size, min_count=self.min_count)
        check_share(self.valid_share)


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The network: an embedding, a stack of recurrent layers and a softmax.

    Raises:
        InputError: layers in both directions, a share outside 0 to 1.
    """

    recurrent: RecurrentOptions = field(
        default_factory=lambda: RecurrentOptions(hidden_size=512, dropout=0.2),
        metadata={
            "help": {
                "bidirectional": "Refused: a language model reads forwards only.",
                "dropout": "Share of what each recurrent layer emits that is dropped while training.",
            }
        },
    )
    embedding_size: int = 64
    """Numbers that stand for a character or word."""
    tied: bool = False
    """One matrix for embedding and softmax; wants embedding_size equal to hidden_size."""
    embedding_dropout: float = 0.0
    """Share of the embedding's numbers that is dropped while training."""

    def __post_init__(self) -> None:
        if self.recurrent.bidirectional:
            raise InputError(
                "bidirectional=True: a language model reads forwards only, or it would read what it has to predict"
            )
        if not 0 <= self.embedding_dropout < 1:
            raise InputError(f"embedding_dropout={self.embedding_dropout}: expected 0 or more and less than 1")


@dataclass(frozen=True, kw_only=True)
class WindowOptions:
    """Truncated backpropagation through time: B parallel streams of the text, the state carried along them.

    Every `update_every` steps the weights are updated; the gradient of a loss goes back `reach_back` steps at most. Of
    a window that reaches back further than an update, the newest update_every losses count, so each counts once.

    Raises:
        InputError: label smoothing outside 0 to 1, a penalty below 0 or not finite. The sizes are checked against the
            text.
    """

    batch_size: int = 16
    """Parallel streams of the text in a batch."""
    update_every: int | None = 64
    """Steps of each stream between updates of the weights; none for the whole stream: full backpropagation."""
    reach_back: int | None = None
    """Steps that a gradient goes back. Default: as many as update_every."""
    activation_regularisation: float = 0.0
    """α of the penalty α · mean(h²) on what the last layer emits, after dropout (AR)."""
    temporal_regularisation: float = 0.0
    """β of the penalty β · mean((h_t - h_{t-1})²) on what it emits, before dropout (TAR)."""
    label_smoothing: float = 0.0
    """Share of the target's probability that is spread over all symbols while training."""

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"label_smoothing={self.label_smoothing}: expected 0 up to, not including, 1")
        for name in ("activation_regularisation", "temporal_regularisation"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name}={value}: expected a finite number of 0 or more")
