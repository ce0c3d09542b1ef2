"""Beam search: the most probable outputs of a model, K hypotheses of each input side by side."""

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from recurra.decoding.filters import barred_ids
from recurra.decoding.hypotheses import Hypothesis
from recurra.decoding.options import BeamOptions
from recurra.decoding.penalties import block_repeats
from recurra.decoding.running import Running
from recurra.errors import InputError

S = TypeVar("S")


@torch.inference_mode()
def beam_search(
    step: Callable[[Tensor, S], tuple[Tensor, S]],
    state: S,
    *,
    start: Tensor,
    end: int | None,
    options: BeamOptions,
    longest: Tensor,
    select: Callable[[S, Tensor], S],
    penalty: Callable[[S], Tensor] | None = None,
    forbidden: Iterable[int] = (),
) -> list[list[Hypothesis]]:
    """The most probable outputs for each of B inputs, searched for together.

    At each step the K most probable continuations of an input's running hypotheses are taken, by log-probability; those
    that end take their place among the finished ones, the others run on, and K are taken of these again. So a beam of 1
    is greedy, and one as wide as there are sequences tries them all. Finished hypotheses are ranked by

        score = log p(tokens, end) / ((5 + n) / 6)^α + penalty, n the tokens and the end,

    after Wu et al. 2016 (arXiv:1609.08144, eq. 14). An input leaves the search at its `longest`, or when it has its n
    best and no running hypothesis can come to a better score than the last of them, whatever it still says. That takes
    the fewer steps the lower `longest` is, for α > 0. Of equals, the earlier hypothesis comes first, then the lower id.

    Args:
        step: takes tokens (N,) int64 and a state, gives log-probabilities (N, V) and the next state. The first call has
            N = B; from then on the hypotheses of one input stand side by side, always K of each, in the order of the
            inputs. Places without a hypothesis say some token too.
        state: the model's state of the B inputs, before `start`.
        start: (B,) int64, the token that each output begins after.
        end: the token that ends an output; None where only `longest` does.
        options: the beam's width, the penalties, how many outputs.
        longest: (B,) int64, 1 or more: so many steps at most, the one to `end` among them.
        select: takes a state and rows (M,) int64 of it, gives the state of these, in their order; the rows of one input
            stand side by side, K of each.
        penalty: takes the state after a step, gives (N,) what is added to the scores of hypotheses that end there,
            finite and 0 or less; such as `coverage_penalty` of the attention so far.
        forbidden: ids that never come.

    Returns:
        For each input up to `options.nbest` hypotheses, best first; fewer if its beam held no more. After the finished
        ones come those cut short at `longest`, or where every continuation has −inf; n of these is their tokens.

    Raises:
        InputError: `start` and `longest` that do not fit, or ids that cannot be forbidden.
        RecurraError: a log-probability is NaN or +inf.
    """
    _check(start, longest)
    forbidden = tuple(forbidden)
    running = Running(longest, end, options)
    found: dict[int, list[Hypothesis]] = {}
    tokens, barred = start, None
    while len(running.inputs):
        log_probs, state = step(tokens, state)
        if barred is None:
            barred = barred_ids(forbidden, log_probs.shape[1]).to(log_probs.device)
        allowed = log_probs.masked_fill(barred, -math.inf) if forbidden else log_probs
        if options.block_repeats:
            allowed = block_repeats(allowed, running.tokens.flatten(0, 1), options.block_repeats)
        left, rows, tokens = running.advance(allowed, None if penalty is None else partial(penalty, state))
        found.update(left)
        if len(rows) and not _everything(rows, len(log_probs)):
            state = select(state, rows)
    return [found[number] for number in range(len(start))]


def _check(start: Tensor, longest: Tensor) -> None:
    if longest.shape != start.shape or start.dim() != 1:
        raise InputError(
            f"longest is {tuple(longest.shape)} and start {tuple(start.shape)}: expected (B,) both, one an input."
        )
    if bool((longest < 1).any()):
        raise InputError(f"longest={int(longest.min())}, expected 1 step or more.")


def _everything(rows: Tensor, count: int) -> bool:
    """Whether all stay where they are, so that nothing needs to be copied."""
    return len(rows) == count and torch.equal(rows, torch.arange(count, device=rows.device))
