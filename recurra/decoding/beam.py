"""Beam search: the most probable outputs of a model, K hypotheses per input in one batch."""

import math
from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor

from recurra.decoding.active_hypotheses import ActiveHypotheses
from recurra.decoding.filters import forbidden_mask
from recurra.decoding.hypotheses import Hypothesis
from recurra.decoding.options import BeamOptions
from recurra.decoding.penalties import block_repeats
from recurra.decoding.step import S, Step
from recurra.errors import InputError


@torch.inference_mode()
def beam_search(
    step: Step[S],
    state: S,
    *,
    start: Tensor,
    end: int | None,
    options: BeamOptions,
    longest: Tensor,
    penalty: Callable[[S], Tensor] | None = None,
    forbidden: Iterable[int] = (),
) -> list[list[Hypothesis]]:
    """Returns the most probable outputs for each of B inputs, in one batched search.

    Each step extends the active hypotheses of an input and selects the K most probable continuations, by
    log-probability. Those that end join the finished hypotheses; the others stay active. A beam of 1 is therefore
    greedy, and a beam as wide as there are sequences is exhaustive. Finished hypotheses are ranked by

        score = log p(tokens, end) / ((5 + n) / 6)^α + penalty,    n = number of tokens, end included,

    after Wu et al. 2016 (arXiv:1609.08144, eq. 14). The search for an input ends after `longest` steps, or as soon as
    it has `nbest` finished hypotheses and no active hypothesis can reach a better score than the last of them, however
    it continues. For α > 0 a lower `longest` therefore also ends the search earlier. Ties are broken in favour of the
    earlier hypothesis, then of the lower id.

    Args:
        step: the model. The first call has N = B rows; later calls have N = B' · K for the B' inputs still searched,
            where the K rows of one input are adjacent and inputs keep their order. Rows without a hypothesis hold an
            arbitrary token.
        state: the model's state for the B inputs, before `start`.
        start: (B,) int64, the token before each output.
        end: the token that ends an output; None if only `longest` ends it.
        options: beam width, penalties and number of outputs.
        longest: (B,) int64, 1 or more: the maximal number of steps, including the one to `end`.
        penalty: takes the state after a step; returns (N,), finite and 0 or less, which is added to the scores of
            hypotheses that end at this step, such as `coverage_penalty` of the attention so far.
        forbidden: ids that are never generated.

    Returns:
        For each input up to `options.nbest` hypotheses, best first; fewer if its beam holds fewer. Finished hypotheses
        come first, then those cut off at `longest` or where every continuation has −inf; their n is the number of their
        tokens.

    Raises:
        InputError: the shapes of `start` and `longest` differ, or `forbidden` contains an invalid id or every id.
        RecurraError: a log-probability is NaN or +inf.
    """
    _check(start, longest)
    forbidden = tuple(forbidden)
    active = ActiveHypotheses(longest, end, options)
    results: dict[int, list[Hypothesis]] = {}
    tokens, forbidden_tokens = start, None
    while len(active.inputs):
        log_probs, state = step(tokens, state)
        if forbidden_tokens is None:
            forbidden_tokens = forbidden_mask(forbidden, log_probs.shape[1]).to(log_probs.device)
        allowed = log_probs.masked_fill(forbidden_tokens, -math.inf) if forbidden else log_probs
        if options.block_repeats:
            allowed = block_repeats(allowed, active.tokens.flatten(0, 1), options.block_repeats)
        finished, rows, tokens = active.advance(allowed, None if penalty is None else partial(penalty, state))
        results.update(finished)
        # `select` copies the whole state, the encoder's outputs included: skip it where no row moves.
        if len(rows) and not _keeps_all_rows(rows, len(log_probs)):
            state = step.select(state, rows)
    return [results[number] for number in range(len(start))]


def _check(start: Tensor, longest: Tensor) -> None:
    if longest.shape != start.shape or start.dim() != 1:
        raise InputError(
            f"longest is {tuple(longest.shape)} and start {tuple(start.shape)}: both must be (B,), one entry per input."
        )
    if bool((longest < 1).any()):
        raise InputError(f"longest={int(longest.min())}, expected 1 step or more.")


def _keeps_all_rows(rows: Tensor, count: int) -> bool:
    """Whether `rows` is 0 … count - 1, so that no row moves."""
    return len(rows) == count and torch.equal(rows, torch.arange(count, device=rows.device))
