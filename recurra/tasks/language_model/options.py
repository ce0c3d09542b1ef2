"""The options of a language model: those of `recurra train lm`, one field each, and those of generation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recurra.data import check_tokenizer
from recurra.data.holdout import check_share
from recurra.decoding import SamplingOptions
from recurra.errors import InputError
from recurra.tasks.fields import check_names, field_names, read_fields
from recurra.tasks.recurrent_options import RecurrentOptions


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """The text: its tokenizer, and what is held out for validation.

    Raises:
        InputError: the unit is unknown or does not use an option that is set, or a share is not between 0 and 1.
    """

    valid: list[Path] | None = None
    """Files to validate on, in place of a share of the text."""
    valid_share: float = 0.1
    """Share of the characters, at the end of the text, that is held out for validation if valid is not set."""
    unit: str = "char"
    """Tokens of the text: char (Unicode code points), byte, word or bpe (subwords)."""
    vocabulary_size: int | None = None
    """Largest number of words, or exact number of subwords. Default: all words, 4096 subwords."""
    min_count: int = 1
    """Characters or words that occur less often in the training text are unknown."""

    def __post_init__(self) -> None:
        check_tokenizer(self.unit, vocabulary_size=self.vocabulary_size, min_count=self.min_count)
        check_share(self.valid_share)


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The network: an embedding, a stack of recurrent layers and a softmax.

    Raises:
        InputError: the layers are bidirectional, or a share is not in [0, 1).
    """

    recurrent: RecurrentOptions = field(
        default_factory=lambda: RecurrentOptions(hidden_size=512, dropout=0.2),
        metadata={
            "help": {
                "bidirectional": "Not allowed: a language model must not read the tokens that it predicts.",
                "dropout": "Share of the outputs of each recurrent layer that is dropped in training.",
            }
        },
    )
    embedding_size: int = 64
    """Size of the embedding of a token."""
    tied: bool = False
    """Use one matrix as embedding and softmax weight; requires embedding_size equal to hidden_size."""
    embedding_dropout: float = 0.0
    """Share of the embedding's values that is dropped in training."""

    def __post_init__(self) -> None:
        if self.recurrent.bidirectional:
            raise InputError(
                "bidirectional=True: a language model reads forwards only, because the backward direction would read "
                "the tokens to predict"
            )
        if not 0 <= self.embedding_dropout < 1:
            raise InputError(f"embedding_dropout={self.embedding_dropout}: expected 0 or more and less than 1")


@dataclass(frozen=True, kw_only=True)
class WindowOptions:
    """Truncated backpropagation through time: B parallel streams of the text, along which the state is carried.

    The weights are updated every `update_every` steps; the gradient of a loss goes back at most `reach_back` steps.
    `recurra.data.Streams` defines the windows. It also checks the sizes, because their limits depend on the text.

    Raises:
        InputError: label smoothing is not in [0, 1), or a penalty is negative or not finite.
    """

    batch_size: int = 16
    """Number of parallel streams of the text in a batch."""
    update_every: int | None = 64
    """Steps of each stream between updates of the weights; none for the whole stream: full backpropagation."""
    reach_back: int | None = None
    """Steps that a gradient goes back. Default: as many as update_every."""
    activation_regularisation: float = 0.0
    """α of the penalty α · mean(h²) on the last layer's outputs, after dropout (AR)."""
    temporal_regularisation: float = 0.0
    """β of the penalty β · mean((h_t - h_{t-1})²) on the last layer's outputs, before dropout (TAR)."""
    label_smoothing: float = 0.0
    """Share of the target's probability that is spread over the whole vocabulary in training."""

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"label_smoothing={self.label_smoothing}: expected 0 up to, not including, 1")
        for name in ("activation_regularisation", "temporal_regularisation"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name}={value}: expected a finite number of 0 or more")


@dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """The options of generation.

    Raises:
        InputError: a value is out of range, or an option has no effect because of `beam`.
    """

    length: int | None = 500
    """Number of tokens to generate; None for no limit."""
    sampling: SamplingOptions | None = None
    """How each token is sampled; plain sampling if None."""
    stop: str | Sequence[str] = ()
    """A string or several that end a text; they are not part of the output."""
    seed: int | None = None
    """The same seed gives the same texts, and text i does not depend on `samples`. If None, a new seed per call."""
    samples: int = 1
    """Number of texts to generate in parallel."""
    beam: int | None = None
    """In place of sampling, beam search with this number of hypotheses for the most probable text of `length`."""

    def __post_init__(self) -> None:
        if not _is_whole(self.samples) or self.samples < 1:
            raise InputError(f"samples={self.samples!r}: expected a whole number of 1 or more")
        if self.length is not None and (not _is_whole(self.length) or self.length < 0):
            raise InputError(f"length={self.length!r}: expected a whole number of 0 or more, or None for no limit")
        if self.seed is not None and not (_is_whole(self.seed) and 0 <= self.seed < 2**63):
            raise InputError(f"seed={self.seed!r}: expected a whole number from 0 to 2**63 - 1")
        if self.beam is not None:
            self._check_beam(self.beam)

    def _check_beam(self, beam: Any) -> None:
        if not _is_whole(beam) or beam < 1:
            raise InputError(f"beam={beam!r}: expected a whole number of 1 or more")
        if self.length is None:
            # The probability of a text falls with every token, so that without a length the search would not end.
            raise InputError(f"beam={beam}: beam search requires a length, which is None")
        is_set = {"samples": self.samples != 1, "seed": self.seed is not None, "sampling": self.sampling is not None}
        idle = [name for name, value in is_set.items() if value]
        if idle:
            raise InputError(
                f"beam={beam} finds one most probable text and samples nothing: leave out {', '.join(idle)}"
            )

    @property
    def stops(self) -> Sequence[str]:
        """The strings that end a text, as a sequence; a single string is one of them, not its characters."""
        return [self.stop] if isinstance(self.stop, str) else self.stop


def make_generation_options(options: Mapping[str, Any]) -> GenerationOptions:
    """Returns the options from flat keywords: the fields of `GenerationOptions` and of `SamplingOptions`.

    Raises:
        InputError: an option is unknown or has an invalid value, or both `sampling` and one of its fields are set.
    """
    sampling_names = field_names(SamplingOptions)
    check_names(options, [*field_names(GenerationOptions), *sampling_names], where="generate")
    sampling = {name: value for name, value in options.items() if name in sampling_names}
    rest = {name: value for name, value in options.items() if name not in sampling}
    if sampling:
        if rest.get("sampling") is not None:
            raise InputError(f"sampling and {', '.join(sampling)}: set either sampling or its fields")
        rest["sampling"] = read_fields(SamplingOptions, sampling, where="generate")
    return GenerationOptions(**rest)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
