"""Sampling from a model that draws its tokens itself, several per call."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Generator, Tensor

from recurra.decoding.filters import FLOAT32_RANGE, filter_logits, forbidden_mask
from recurra.decoding.options import SamplingOptions
from recurra.decoding.sampling import NO_DISTRIBUTION, choose
from recurra.errors import RecurraError

# Tokens per call: few at first, so that the first pieces of a text appear at once, then more, so that a call's own cost
# is negligible.
_MOST_PER_CALL = 32


class TokenDrawer(Protocol):
    """A model that draws its tokens itself, such as `recurra.engine.stream.tokens.TokenStream`."""

    def generate(
        self,
        tokens: Tensor,
        uniforms: Tensor,
        *,
        temperature: float,
        top_k: int | None,
        top_p: float | None,
        min_p: float | None,
        greedy: bool,
    ) -> Tensor:
        """Returns the next tokens (T, B) after `tokens` (B,), drawn with `uniforms` (T, B); -1 for no distribution."""
        ...


def draws_itself(options: SamplingOptions) -> bool:
    """Whether a `TokenDrawer` has these options: all but a repetition penalty, and temperatures that suit float32."""
    low, high = FLOAT32_RANGE
    return options.repetition_penalty == 1 and low <= options.temperature <= high


def sample_stream(
    log_probs: Tensor,
    model: TokenDrawer,
    *,
    length: int | None,
    generators: Sequence[Generator],
    options: SamplingOptions,
    forbidden: Iterable[int] = (),
) -> Iterator[Tensor]:
    """Samples the tokens that continue B prompts, as `recurra.decoding.sample` does.

    Args:
        log_probs: (B, V) log-probabilities of the token after the prompts.
        model: in the state after the prompts; it never draws the forbidden tokens.
        length: the number of tokens; None for no limit.
        generators: one per row, as from `row_generators`.
        options: the sampling options, for which `draws_itself` holds.
        forbidden: ids that are never drawn.

    Yields:
        (B,) int64, `length` times.

    Raises:
        RecurraError: the model returns no distribution.
    """
    if length == 0:
        return
    # No `yield` within inference mode, which would be active in the caller's code too.
    with torch.inference_mode():
        excluded = forbidden_mask(forbidden, log_probs.shape[-1])
        tokens = choose(filter_logits(log_probs.masked_fill(excluded, -math.inf), options), generators)
    yield tokens
    drawn, count = 1, 1
    while length is None or drawn < length:
        count = min(count, _MOST_PER_CALL if length is None else length - drawn)
        with torch.inference_mode():
            columns = [torch.rand(count, generator=generator, dtype=torch.float64) for generator in generators]
            steps = model.generate(
                tokens,
                torch.stack(columns, 1),  # (T, B)
                temperature=options.temperature,
                top_k=options.top_k,
                top_p=options.top_p,
                min_p=options.min_p,
                greedy=options.greedy,
            )
            # The steps before the first one without a distribution.
            valid = int((steps >= 0).all(1).long().cumprod(0).sum())
            rows = steps.unbind(0)
        yield from rows[:valid]
        if valid < count:
            raise RecurraError(NO_DISTRIBUTION)
        tokens = rows[-1]
        drawn, count = drawn + count, min(2 * count, _MOST_PER_CALL)
