"""How the next token is drawn: the options of sampling, checked."""

import math
from dataclasses import dataclass, fields

from recurra.errors import InputError


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How the next token is drawn from a model's distribution.

    Raises:
        InputError: a value out of range, or an option that `greedy` leaves without effect.
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
            raise InputError("temperature=0 would divide by zero. For the most probable token always, use greedy.")
        for name in ("temperature", "repetition_penalty"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name}={value}, expected a number above 0; 1 changes nothing.")
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
