"""The options of prefix beam search, with their checks."""

import math
from dataclasses import dataclass

from recurra.errors import InputError


@dataclass(frozen=True, kw_only=True)
class CTCBeamOptions:
    """How prefix beam search searches and ranks the outputs of a CTC network.

    Raises:
        InputError: a value is out of range.
    """

    beam: int = 16
    """Number of hypotheses that are followed at the same time."""

    lm_weight: float = 0.0
    """Weight of the language model's log-probability in the score of a hypothesis; 0 does not run the model."""

    length_bonus: float = 0.0
    """Added to the score for each symbol, in nats: a language model prefers short outputs, which this compensates."""

    token_threshold: float = 7.0
    """A symbol extends no hypothesis in frames where its log-probability is this much below that of the most probable
    symbol; inf for no limit."""

    beam_threshold: float = 20.0
    """A hypothesis is dropped if its score is this much below the best one; inf for no limit."""

    max_pending: int | None = 50
    """Largest number of symbols that are not settled, at some frames: older ones are settled as they are in the best
    hypothesis, and hypotheses with others are dropped. None for no limit: two readings of a word that are nearly as
    probable then occupy the beam until the end."""

    hot_words: tuple[str, ...] = ()
    """Words or phrases whose score is raised, spelled as the network spells them, case included."""

    hot_word_weight: float = 1.0
    """Added to the score for each character of a hot word, in nats."""

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise InputError(f"beam={self.beam}: expected 1 hypothesis or more")
        if not 0 <= self.lm_weight < math.inf:
            raise InputError(f"lm_weight={self.lm_weight}: expected 0 or more; 0 does not use the language model")
        for name in ("length_bonus", "hot_word_weight"):
            if not math.isfinite(getattr(self, name)):
                raise InputError(f"{name}={getattr(self, name)}: expected a finite number of nats")
        for name in ("token_threshold", "beam_threshold"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}={getattr(self, name)}: expected more than 0 nats, or inf for no limit")
        if self.max_pending is not None and self.max_pending < 1:
            raise InputError(f"max_pending={self.max_pending}: expected 1 symbol or more, or None for no limit")
        if not all(word.strip() for word in self.hot_words):
            raise InputError(f"hot_words={self.hot_words!r}: contains an empty word")
