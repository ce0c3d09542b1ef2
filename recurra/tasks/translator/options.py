"""What a person can choose about a translator; each field is an option of `recurra train translator`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from recurra.data import check_tokenizer
from recurra.data.holdout import check_share
from recurra.decoding import BeamOptions
from recurra.errors import InputError, nearest
from recurra.layers import SCORES
from recurra.metrics import BLEU_TOKENIZERS
from recurra.tasks.recurrent_options import RecurrentOptions

TOKENIZERS = ("char", "word", "bpe")
BEST_BY = ("loss", "bleu", "exact", "token_error")


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    """The pairs: their files, what both sides are cut into, and what is held out.

    Raises:
        InputError: files that do not belong together, an unknown unit, a number out of range.
    """

    source: list[Path] | None = None
    """Files of sources, a sentence a line, in place of files of pairs."""
    target: list[Path] | None = None
    """The files of their targets, line by line."""
    valid: list[Path] | None = None
    """Files of pairs to validate with, in place of a share of the sources."""
    valid_source: list[Path] | None = None
    """The same as sources, a sentence a line."""
    valid_target: list[Path] | None = None
    """And their targets."""
    valid_share: float = 0.05
    """The last share of the sources, held out to validate with where no valid files are named."""
    source_unit: str = "bpe"
    """What sources are cut into: char, word (whatever stands apart by spaces, such as phonemes) or bpe (subwords)."""
    target_unit: str = "bpe"
    """What targets are cut into."""
    joint: bool = False
    """One vocabulary for both sides; wants equal units."""
    vocabulary_size: int | None = None
    """At most so many words, or exactly so many subwords, a side. Default: all words, 4096 subwords."""
    min_count: int = 1
    """Characters or words that the training data has less often are unknown."""
    longest: int | None = 500
    """Pairs with more symbols on one side are left out of training; none for no limit."""

    def __post_init__(self) -> None:
        for name in ("source", "target"):
            unit = getattr(self, f"{name}_unit")
            if unit not in TOKENIZERS:
                raise InputError(f"there is no {name}_unit {unit!r}. {nearest(unit, TOKENIZERS)}")
            check_tokenizer(unit, vocabulary_size=self.size_of(unit), min_count=self.min_count_of(unit))
        if self.joint and self.source_unit != self.target_unit:
            raise InputError(f"joint: source_unit={self.source_unit} and target_unit={self.target_unit} are not equal")
        for sources, targets in (("source", "target"), ("valid_source", "valid_target")):
            if (getattr(self, sources) is None) != (getattr(self, targets) is None):
                raise InputError(f"{sources} and {targets} go together: give both, or files of pairs")
        if self.valid is not None and self.valid_source is not None:
            raise InputError("valid and valid_source: give files of pairs, or sources and targets apart")
        check_share(self.valid_share)
        if self.longest is not None and self.longest < 1:
            raise InputError(f"longest={self.longest}: expected 1 or more, or none for no limit")

    def size_of(self, unit: str) -> int | None:
        """The size, for a unit that has one; the other side may be of characters."""
        return None if unit == "char" and {self.source_unit, self.target_unit} != {"char"} else self.vocabulary_size

    def min_count_of(self, unit: str) -> int:
        """The least count, for a unit that has unknown symbols; the other side may be of subwords."""
        return 1 if unit == "bpe" and {self.source_unit, self.target_unit} != {"bpe"} else self.min_count


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The network: an encoder in both directions, a bridge, a decoder with or without attention.

    Raises:
        InputError: a score that is not known, sizes that do not fit.
    """

    recurrent: RecurrentOptions = field(
        default_factory=lambda: RecurrentOptions(hidden_size=384, bidirectional=True, dropout=0.3, locked_dropout=True),
        metadata={
            "help": {
                "hidden_size": "Units of each decoder layer; each direction of the encoder has half of them.",
                "num_layers": "Recurrent layers on top of each other, in encoder and decoder.",
                "bidirectional": "Read sources from both ends; without it, the encoder has all units in one direction.",
                "dropout": "Share of embeddings and of what each layer emits that is dropped while training.",
                "residual": "Add each upper layer's input to its output; in the decoder this wants input feeding "
                "or no attention.",
                "learn_initial_state": "Learn the state that the encoder starts from, in place of zeros.",
            }
        },
    )
    embedding_size: int = 256
    """Numbers that stand for a symbol."""
    attention: str = "general"
    """How a decoder state is compared with the encoder's: dot, general or additive; none for an encoder-decoder that
    knows the source by the encoder's last state alone."""
    input_feeding: bool = True
    """The decoder also reads what attention made of its last step; without it, training is faster."""
    tied: bool = True
    """One matrix for the target embedding and the softmax."""

    def __post_init__(self) -> None:
        if self.attention not in ("none", *SCORES):
            raise InputError(f"there is no attention {self.attention!r}. {nearest(self.attention, ['none', *SCORES])}")
        size = self.recurrent.hidden_size
        if self.recurrent.bidirectional and (size < 2 or size % 2):
            raise InputError(f"hidden_size={size}: expected an even number, half for each direction of the encoder")
        if self.recurrent.residual and self.attends and not self.input_feeding:
            # The second layer reads [h; c], which is wider than what it emits.
            raise InputError(
                "residual=True: with attention and input_feeding=False the second decoder layer reads the context too, "
                "and has no output as wide as its input. Choose input_feeding=True or attention='none'"
            )
        if self.embedding_size < 1:
            raise InputError(f"embedding_size={self.embedding_size}: expected 1 or more")

    @property
    def attends(self) -> bool:
        """Whether there is attention."""
        return self.attention != "none"


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Batches, what the network is told while it trains, and which model is the best.

    Raises:
        InputError: a number out of range, a score that is not known.
    """

    batch_tokens: int = 2000
    """Symbols of source and target in a batch."""
    label_smoothing: float = 0.1
    """Share of the target's probability that is spread over all symbols while training."""
    scheduled_sampling: float = 0.0
    """Share of the decoder's inputs that are its own last outputs while training, in place of the true symbols."""
    best_by: str | None = None
    """What the best model is best by on the validation data: loss, or of its greedy outputs bleu, exact or token_error.
    Default: bleu for targets of subwords, else token_error."""

    def __post_init__(self) -> None:
        for name in ("label_smoothing", "scheduled_sampling"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}: expected 0 up to, not including, 1")
        if self.best_by is not None and self.best_by not in BEST_BY:
            raise InputError(f"there is no best_by {self.best_by!r}. {nearest(self.best_by, BEST_BY)}")


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """The files that a translator is evaluated on, and how its outputs are searched for.

    Raises:
        InputError: a value out of range.
    """

    source: list[Path] | None = None
    """Files of sources, a sentence a line, in place of files of pairs."""
    target: list[Path] | None = None
    """The files of their targets, line by line."""
    bleu_tokenize: str = BLEU_TOKENIZERS[0]
    """How sacrebleu cuts text for BLEU: 13a, intl, zh, char, none, ja-mecab or ko-mecab."""
    beam: int = BeamOptions.beam
    """How many hypotheses are followed side by side; 1 is greedy, as the scores while training."""
    length_penalty: float = BeamOptions.length_penalty
    """Above 0 longer outputs gain, below 0 shorter ones."""
    coverage_penalty: float = BeamOptions.coverage_penalty
    """Weight of what an output loses for parts of the source that it hardly attended to."""
    block_repeats: int = BeamOptions.block_repeats
    """No run of so many symbols comes twice in an output; 0 lets all come."""

    def __post_init__(self) -> None:
        self.search()

    def search(self) -> BeamOptions:
        """The options of the search."""
        return BeamOptions(
            beam=self.beam,
            length_penalty=self.length_penalty,
            coverage_penalty=self.coverage_penalty,
            block_repeats=self.block_repeats,
        )
