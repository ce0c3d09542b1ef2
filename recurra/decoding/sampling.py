"""Text token by token: draws from a recurrent model's distribution, each fed back to it."""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from recurra.decoding.filters import barred_ids, filter_logits
from recurra.decoding.options import SamplingOptions
from recurra.errors import InputError, RecurraError

S = TypeVar("S")


def row_seed(seed: int, row: int) -> int:
    """The seed of one row of a batch: `seed` itself for row 0, else a hash of both, in [0, 2⁶³)."""
    if row == 0:
        return seed
    digest = hashlib.sha256(f"{seed} {row}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def row_generators(seed: int, rows: int) -> list[torch.Generator]:
    """A generator for each row of a batch, so that row i of a batch draws what `row_seed(seed, i)` draws alone."""
    return [torch.Generator().manual_seed(row_seed(seed, row)) for row in range(rows)]


def choose(log_probs: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """One token a row by the inverse of the cumulative distribution, a uniform number from each row's own generator.

    Args:
        log_probs: (B, V) floating, on any device.
        generators: B generators on the CPU; each gives one float64 a call.

    Returns:
        (B,) int64 on the device of `log_probs`; never a token of probability zero.

    Raises:
        RecurraError: a row is not a distribution: NaN, or all −inf.
    """
    # In float64: in float32 the sum over a large vocabulary would blur the rare tokens.
    cumulative = log_probs.double().exp().cumsum(-1)  # (B, V)
    mass = cumulative[:, -1:]
    if not bool(((mass > 0) & mass.isfinite()).all()):
        raise RecurraError("the model gives no distribution for the next token (NaN or all zero). Check its weights.")
    uniform = torch.stack([torch.rand(1, generator=generator, dtype=torch.float64) for generator in generators])
    # uniform < 1 stays below the mass, and `right` skips tokens that add nothing to it.
    return torch.searchsorted(cumulative, uniform.to(mass.device) * mass, right=True).squeeze(-1)


def sample(
    log_probs: Tensor,
    state: S,
    *,
    step: Callable[[Tensor, S], tuple[Tensor, S]],
    length: int | None,
    generators: Sequence[torch.Generator],
    options: SamplingOptions | None = None,
    forbidden: Iterable[int] = (),
    seen: Tensor | None = None,
    end: int | None = None,
) -> Iterator[Tensor]:
    """The tokens that continue B prompts, as they are drawn.

    The caller reads the prompts in its own way and passes what that leaves. Given equal log-probabilities, a row's
    tokens depend on its own generator alone, never on the other rows.

    Args:
        log_probs: (B, V) log-probabilities of the token after the prompts.
        state: the model's state after the prompts, handed to `step` unchanged.
        step: takes tokens (B,) int64 and a state, gives log-probabilities (B, V) and the next state.
        length: how many tokens; None for as long as the caller asks.
        generators: one a row, as from `row_generators`.
        options: how to draw; plain sampling if None.
        forbidden: ids that are never drawn, such as an unknown symbol's.
        seen: (B, V) bool, what the prompts hold, for the repetition penalty; drawn tokens are added to a copy.
        end: the token that ends a row, if one does; such a row says nothing else from then on.

    Yields:
        (B,) int64, `length` times, fewer if every row has ended. `step` is not called after the last.

    Raises:
        InputError: a negative length, another number of generators than rows, an end outside the vocabulary, or ids
            that cannot be forbidden.
        RecurraError: the model's log-probabilities are no distribution.
    """
    rows, size = log_probs.shape
    if length is not None and length < 0:
        raise InputError(f"length={length}, expected 0 or more tokens.")
    if len(generators) != rows:
        raise InputError(
            f"{len(generators)} generators for {rows} rows, expected one a row: row_generators(seed, {rows})."
        )
    if end is not None and not 0 <= end < size:
        raise InputError(f"end={end}, expected 0 or more and less than {size}.")
    options = options or SamplingOptions()
    if options.repetition_penalty != 1:
        seen = torch.zeros_like(log_probs, dtype=torch.bool) if seen is None else seen.clone()
    barred = barred_ids(forbidden, size).to(log_probs.device)
    return _draws(log_probs, state, step, length, generators, options, barred, seen, end)


def _draws(
    log_probs: Tensor,
    state: S,
    step: Callable[[Tensor, S], tuple[Tensor, S]],
    length: int | None,
    generators: Sequence[torch.Generator],
    options: SamplingOptions,
    barred: Tensor,
    seen: Tensor | None,
    end: int | None,
) -> Iterator[Tensor]:
    drawn, ended = 0, torch.zeros(len(generators), dtype=torch.bool, device=log_probs.device)
    while length is None or drawn < length:
        allowed = log_probs.masked_fill(barred, -math.inf)
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
