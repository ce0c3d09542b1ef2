"""The options of a translator: each field is an option of `recurra train translator` or of `recurra evaluate`."""

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
    """The pairs: their files, the tokenizers of both sides, and the held-out part.

    Raises:
        InputError: options of files that exclude each other, an unknown unit, a number out of range.
    """

    source: list[Path] | None = None
    """Files of sources, one sentence per line, in place of files of pairs."""
    target: list[Path] | None = None
    """The files of their targets, line by line."""
    valid: list[Path] | None = None
    """Files of pairs for validation, in place of a share of the sources."""
    valid_source: list[Path] | None = None
    """Files of sources for validation, one sentence per line."""
    valid_target: list[Path] | None = None
    """The files of their targets, line by line."""
    valid_share: float = 0.05
    """The last share of the sources, held out for validation if there are no files for it."""
    source_unit: str = "bpe"
    """The symbols of sources: char, word (separated by spaces, such as phonemes) or bpe (subwords)."""
    target_unit: str = "bpe"
    """The symbols of targets: char, word or bpe."""
    joint: bool = False
    """One vocabulary for both sides; the units must be equal."""
    vocabulary_size: int | None = None
    """Largest number of words, or exact number of subwords, per side. Default: all words, 4096 subwords."""
    min_count: int = 1
    """Characters or words that occur less often in the training data are unknown symbols."""
    longest: int | None = 500
    """Pairs with more symbols than this on one side are left out of training; none for no limit."""

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
                raise InputError(f"{sources} and {targets} go together: name both, or files of pairs")
        if self.valid is not None and self.valid_source is not None:
            raise InputError("valid and valid_source: name files of pairs, or files of sources and targets, not both")
        check_share(self.valid_share)
        if self.longest is not None and self.longest < 1:
            raise InputError(f"longest={self.longest}: expected 1 or more, or none for no limit")

    def size_of(self, unit: str) -> int | None:
        """Returns `vocabulary_size` for the tokenizer of a side: None for characters, which take no size.

        With characters on both sides it is returned all the same, so that `check_tokenizer` refuses it.
        """
        return None if unit == "char" and {self.source_unit, self.target_unit} != {"char"} else self.vocabulary_size

    def min_count_of(self, unit: str) -> int:
        """Returns `min_count` for the tokenizer of a side: 1 for subwords, as in `size_of`: none is unknown."""
        return 1 if unit == "bpe" and {self.source_unit, self.target_unit} != {"bpe"} else self.min_count


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The network: an encoder, a bridge, and a decoder with or without attention.

    Raises:
        InputError: an unknown attention, sizes that do not fit.
    """

    recurrent: RecurrentOptions = field(
        default_factory=lambda: RecurrentOptions(hidden_size=384, bidirectional=True, dropout=0.3, locked_dropout=True),
        metadata={
            "help": {
                "hidden_size": "Hidden units of each decoder layer; each direction of the encoder has half of them.",
                "num_layers": "Recurrent layers of the encoder, and of the decoder.",
                "bidirectional": "Read sources in both directions; without it, the encoder has all units in one "
                "direction.",
                "dropout": "Share of the embeddings and of the outputs of each layer that is dropped in training.",
                "residual": "Add each upper layer's input to its output; in the decoder this needs input feeding "
                "or no attention.",
                "learn_initial_state": "Learn the initial state of the encoder, in place of zeros.",
            }
        },
    )
    embedding_size: int = 256
    """Size of the embedding of a symbol."""
    attention: str = "general"
    """How attention compares the decoder's output with the encoder's outputs: dot, general or additive; none for an
    encoder-decoder in which only the encoder's last state is passed on."""
    input_feeding: bool = True
    """The decoder also reads its last output, which contains the attention context; without it, training is faster."""
    tied: bool = True
    """Use one matrix for the target embedding and the softmax."""

    def __post_init__(self) -> None:
        if self.attention not in ("none", *SCORES):
            raise InputError(f"there is no attention {self.attention!r}. {nearest(self.attention, ['none', *SCORES])}")
        size = self.recurrent.hidden_size
        if self.recurrent.bidirectional and (size < 2 or size % 2):
            raise InputError(f"hidden_size={size}: expected an even number, half for each direction of the encoder")
        if self.recurrent.residual and self.attends and not self.input_feeding:
            # The second layer reads [h; c], which is wider than its output.
            raise InputError(
                "residual=True: with attention and input_feeding=False the second decoder layer reads the context too, "
                "and has no output as wide as its input. Choose input_feeding=True or attention='none'"
            )
        if self.embedding_size < 1:
            raise InputError(f"embedding_size={self.embedding_size}: expected 1 or more")

    @property
    def attends(self) -> bool:
        """Whether the decoder has attention."""
        return self.attention != "none"


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Batches, the inputs and targets of the decoder in training, and the selection of the best model.

    Raises:
        InputError: a number out of range, an unknown score.
    """

    batch_tokens: int = 2000
    """Symbols of sources and targets in a batch."""
    label_smoothing: float = 0.1
    """Share of the target's probability that is spread over all symbols in training."""
    scheduled_sampling: float = 0.0
    """Share of the decoder's inputs in training that are its own last outputs, in place of the true symbols."""
    best_by: str | None = None
    """The score on the validation data that selects the best model: loss, or of its greedy outputs bleu, exact or
    token_error. Default: bleu for targets of subwords, otherwise token_error."""

    def __post_init__(self) -> None:
        for name in ("label_smoothing", "scheduled_sampling"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}: expected 0 up to, not including, 1")
        if self.best_by is not None and self.best_by not in BEST_BY:
            raise InputError(f"there is no best_by {self.best_by!r}. {nearest(self.best_by, BEST_BY)}")


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """The files that a translator is evaluated on, and the search for its outputs.

    Raises:
        InputError: a value out of range.
    """

    source: list[Path] | None = None
    """Files of sources, one sentence per line, in place of files of pairs."""
    target: list[Path] | None = None
    """The files of their targets, line by line."""
    bleu_tokenize: str = BLEU_TOKENIZERS[0]
    """The tokenizer of sacrebleu for BLEU: 13a, intl, zh, char, none, ja-mecab or ko-mecab."""
    beam: int = BeamOptions.beam
    """How many hypotheses are followed in parallel; 1 is greedy, as for the scores in training."""
    length_penalty: float = BeamOptions.length_penalty
    """Above 0 longer outputs are preferred, below 0 shorter ones."""
    coverage_penalty: float = BeamOptions.coverage_penalty
    """Weight of the penalty for parts of the source that an output hardly attends to."""
    block_repeats: int = BeamOptions.block_repeats
    """No sequence of this many symbols occurs twice in an output; 0 for no restriction."""

    def __post_init__(self) -> None:
        self.search()

    def search(self) -> BeamOptions:
        """Returns the options of the search."""
        return BeamOptions(
            beam=self.beam,
            length_penalty=self.length_penalty,
            coverage_penalty=self.coverage_penalty,
            block_repeats=self.block_repeats,
        )
