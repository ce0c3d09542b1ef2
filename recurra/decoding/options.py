"""The options of sampling and of beam search, with their checks."""

import math
from dataclasses import dataclass, fields

from recurra.errors import InputError

# Largest penalty: above it float32 log-probabilities overflow and every token gets −inf.
_LARGEST = 1e30


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How the next token is sampled from a model's distribution.

    Raises:
        InputError: a value is out of range, or an option has no effect because of `greedy`.
    """

    temperature: float = 1.0
    """Divides the log-probabilities: below 1 the likely become likelier, above 1 all become more alike."""

    top_k: int | None = None
    """Draw from the k most probable tokens only."""

    top_p: float | None = None
    """Draw from the smallest set of most probable tokens that holds this share of the probability."""

    min_p: float | None = None
    """Draw from the tokens at least this share as probable as the most probable one."""

    repetition_penalty: float = 1.0
    """Above 1, tokens that occurred already become less probable; 1.2 is usual."""

    greedy: bool = False
    """Take the most probable token, always."""

    def __post_init__(self) -> None:
        if self.temperature == 0:
            raise InputError("temperature=0 would divide by zero. To always take the most probable token, use greedy.")
        for name in ("temperature", "repetition_penalty"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name}={value}, expected a number above 0; 1 changes nothing.")
        if self.repetition_penalty > _LARGEST:
            raise InputError(
                f"repetition_penalty={self.repetition_penalty}, expected at most {_LARGEST:g}; 1 changes nothing."
            )
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top_k={self.top_k}, expected 1 or more; leave it out to keep every token.")
        for name in ("top_p", "min_p"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise InputError(f"{name}={value}, expected above 0 and at most 1; leave it out to keep every token.")
        if self.greedy:
            self._refuse_idle_options()

    def _refuse_idle_options(self) -> None:
        idle = [
            f"{field.name}={getattr(self, field.name)}"
            for field in fields(self)
            if field.name not in ("greedy", "repetition_penalty") and getattr(self, field.name) != field.default
        ]
        if idle:
            raise InputError(
                f"greedy always takes the most probable token, so {', '.join(idle)} has no effect. Drop one."
            )


@dataclass(frozen=True, kw_only=True)
class BeamOptions:
    """How beam search searches and ranks outputs.

    Raises:
        InputError: a value is out of range.
    """

    beam: int = 5
    """How many hypotheses are followed side by side; 1 takes the most probable symbol at each step."""

    length_penalty: float = 0.6
    """Ranks by log-probability / ((5 + length) / 6) to this power: above 0 longer outputs gain, below 0 shorter."""

    coverage_penalty: float = 0.0
    """Weight of what an output loses for parts of the source that it hardly attended to; 0.2 is usual."""

    block_repeats: int = 0
    """No run of so many symbols comes twice in an output; 0 lets all come."""

    nbest: int = 1
    """How many outputs to give, best first; at most as many as the beam is wide."""

    def __post_init__(self) -> None:
        for name, least in (("beam", 1), ("block_repeats", 0), ("nbest", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name}={getattr(self, name)}, expected {least} or more.")
        if self.nbest > self.beam:
            raise InputError(
                f"nbest={self.nbest} outputs of beam={self.beam}: expected a beam of {self.nbest} or more."
            )
        if not -10 <= self.length_penalty <= 10:
            raise InputError(f"length_penalty={self.length_penalty}, expected -10 to 10; 0 ranks by probability alone.")
        if not 0 <= self.coverage_penalty <= _LARGEST:
            raise InputError(f"coverage_penalty={self.coverage_penalty}, expected 0 to {_LARGEST:g}; 0 for none.")
