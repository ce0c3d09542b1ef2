"""Sampling: each token is drawn from the model's distribution and fed back to the model."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from recurra.decoding.filters import filter_logits, forbidden_mask
from recurra.decoding.options import SamplingOptions
from recurra.decoding.step import S, Step
from recurra.errors import InputError, RecurraError

NO_DISTRIBUTION = "the model returns no distribution for the next token (NaN or all zero). Check its weights."


def row_seed(seed: int, row: int) -> int:
    """Returns the seed of one row of a batch: `seed` itself for row 0, else a hash of both, in [0, 2⁶³)."""
    if row == 0:
        return seed
    digest = hashlib.sha256(f"{seed} {row}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def row_generators(seed: int, rows: int) -> list[torch.Generator]:
    """Returns a generator per row of a batch: row i draws the same numbers as `row_seed(seed, i)` does alone."""
    return [torch.Generator().manual_seed(row_seed(seed, row)) for row in range(rows)]


def choose(log_probs: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Draws one token per row by inverting the cumulative distribution, with one generator per row.

    Args:
        log_probs: (B, V) floating, on any device.
        generators: B generators on the CPU; each call draws one float64 from each.

    Returns:
        (B,) int64 on the device of `log_probs`; never a token of probability zero.

    Raises:
        RecurraError: a row is not a distribution: it has a NaN, or is −inf everywhere.
    """
    # In float64: a cumulative sum in float32 over a large vocabulary loses the probability of rare tokens.
    cumulative = log_probs.double().exp().cumsum(-1)  # (B, V)
    mass = cumulative[:, -1:]
    if not bool(((mass > 0) & mass.isfinite()).all()):
        raise RecurraError(NO_DISTRIBUTION)
    uniform = torch.stack([torch.rand(1, generator=generator, dtype=torch.float64) for generator in generators])
    # uniform < 1 keeps the product below the mass, and right=True skips tokens of probability zero.
    return torch.searchsorted(cumulative, uniform.to(mass.device) * mass, right=True).squeeze(-1)


def sample(
    log_probs: Tensor,
    state: S,
    *,
    step: Step[S],
    length: int | None,
    generators: Sequence[torch.Generator],
    options: SamplingOptions | None = None,
    forbidden: Iterable[int] = (),
    seen: Tensor | None = None,
    end: int | None = None,
) -> Iterator[Tensor]:
    """Samples the tokens that continue B prompts, one step at a time.

    The caller runs the model over the prompts and passes the result. For equal log-probabilities the tokens of a row
    depend only on the row's generator, not on the other rows.

    Args:
        log_probs: (B, V) log-probabilities of the token after the prompts.
        state: the model's state after the prompts, passed to `step` unchanged.
        step: the model, whose rows stay the same B.
        length: the number of tokens; None for no limit.
        generators: one per row, as from `row_generators`.
        options: the sampling options; plain sampling if None.
        forbidden: ids that are never drawn, such as the id of unknown symbols.
        seen: (B, V) bool, the tokens of the prompts, for the repetition penalty; drawn tokens are added to a copy.
        end: the token that ends a row, or None; a row that has ended repeats this token.

    Yields:
        (B,) int64, `length` times, fewer if every row has ended. `step` is not called after the last token.

    Raises:
        InputError: `length` is negative, there are more or fewer generators than rows, `end` is outside the vocabulary,
            or `forbidden` contains an invalid id or every id.
        RecurraError: the model's log-probabilities are not a distribution.
    """
    rows, size = log_probs.shape
    if length is not None and length < 0:
        raise InputError(f"length={length}, expected 0 or more tokens.")
    if len(generators) != rows:
        raise InputError(
            f"{len(generators)} generators for {rows} rows, expected one per row: row_generators(seed, {rows})."
        )
    if end is not None and not 0 <= end < size:
        raise InputError(f"end={end}, expected 0 or more and less than {size}.")
    options = options or SamplingOptions()
    if options.repetition_penalty != 1:
        seen = torch.zeros_like(log_probs, dtype=torch.bool) if seen is None else seen.clone()
    forbidden_tokens = forbidden_mask(forbidden, size).to(log_probs.device)
    return _draws(log_probs, state, step, length, generators, options, forbidden_tokens, seen, end)


def _draws(
    log_probs: Tensor,
    state: S,
    step: Step[S],
    length: int | None,
    generators: Sequence[torch.Generator],
    options: SamplingOptions,
    forbidden_tokens: Tensor,
    seen: Tensor | None,
    end: int | None,
) -> Iterator[Tensor]:
    drawn, ended = 0, torch.zeros(len(generators), dtype=torch.bool, device=log_probs.device)
    while length is None or drawn < length:
        allowed = log_probs.masked_fill(forbidden_tokens, -math.inf)
        tokens = choose(filter_logits(allowed, options, seen), generators)
        if end is not None:
            tokens = tokens.masked_fill(ended, end)
            ended = tokens == end
        if seen is not None:
            seen.scatter_(-1, tokens.unsqueeze(-1), True)
        yield tokens
        if end is not None and bool(ended.all()):
            return
        drawn += 1
        if drawn != length:
            log_probs, state = step(tokens, state)
