"""Filters on a model's distribution over the next token: temperature, top-k, top-p, min-p, repetition penalty."""

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.decoding.options import SamplingOptions
from recurra.errors import InputError

# Range of temperatures and repetition penalties for which float32 log-probabilities neither overflow nor underflow.
FLOAT32_RANGE = (1e-4, 1e4)


def filter_logits(logits: Tensor, options: SamplingOptions, seen: Tensor | None = None) -> Tensor:
    """Returns the log-probabilities to sample from: renormalised, −inf for the tokens that the options exclude.

    The steps are applied in this order, each to the distribution that the previous one returns:

    1. p = softmax(logits);
    2. repetition penalty θ: log p_i ← θ log p_i for the tokens in `seen`. Keskar et al. 2019 (arXiv:1909.05858, sec.
       4.1) divide the logit by θ, which makes a token with a negative logit more likely and depends on a constant that
       the softmax ignores; a log-probability is never positive, so that the factor is always a penalty for θ > 1;
    3. greedy: the most probable token gets probability 1; ties go to the lowest id; the steps below are skipped;
    4. temperature T: log p_i ← log p_i / T;
    5. top-k: the k most probable tokens; ties go to the lower ids, so that exactly k remain (Fan et al. 2018);
    6. top-p: the smallest set of most probable tokens with a mass of p or more; ties go to the lower ids (Holtzman et
       al. 2020);
    7. min-p: all tokens with p_i ≥ min_p · max p (Nguyen et al. 2024, arXiv:2407.01082).

    Args:
        logits: (B, V) floating, up to a constant per row, such as log-probabilities; −inf for excluded tokens.
        options: the sampling options.
        seen: (B, V) bool, the tokens that have occurred; required with a repetition penalty.

    Returns:
        (B, V) log-probabilities in the dtype of `logits`.

    Raises:
        InputError: a repetition penalty without `seen`.
    """
    scores = logits.log_softmax(-1)
    # Outside this range float32 overflows or underflows to zero, so that the steps below run in float64.
    low, high = FLOAT32_RANGE
    if not (low <= options.temperature <= high and low <= options.repetition_penalty <= high):
        scores = scores.double()
    if options.repetition_penalty != 1:
        if seen is None:
            raise InputError(
                f"repetition_penalty={options.repetition_penalty} needs the tokens seen so far: pass seen=(B, V)."
            )
        scores = torch.where(seen, scores * options.repetition_penalty, scores)
    if options.greedy:
        best = scores.argmax(-1, keepdim=True)
        return torch.full_like(logits, -math.inf).scatter(-1, best, 0.0)
    if scores.dtype != logits.dtype:
        scores = scores - scores.amax(-1, keepdim=True)  # the most probable at 0, which no temperature moves
    scores = (scores / options.temperature).log_softmax(-1)
    if options.top_k is not None or options.top_p is not None:
        scores = _keep_most_probable(scores, options.top_k, options.top_p).log_softmax(-1)
    if options.min_p is not None:
        floor = scores.amax(-1, keepdim=True) + math.log(options.min_p)
        scores = scores.masked_fill(scores < floor, -math.inf).log_softmax(-1)
    return scores.to(logits.dtype)


def _keep_most_probable(scores: Tensor, top_k: int | None, top_p: float | None) -> Tensor:
    """Top-k, then top-p, on one stable sort, so that ties go to the lower ids."""
    ranked, order = scores.sort(dim=-1, descending=True, stable=True)
    if top_k is not None:
        ranked[:, min(top_k, ranked.shape[1]) :] = -math.inf
    # p = 1 keeps every token: rounding of the cumulative sum would exclude the last few.
    if top_p is not None and top_p < 1:
        mass = ranked.double().softmax(-1).cumsum(-1)
        before = F.pad(mass[:, :-1], (1, 0))
        ranked = ranked.masked_fill(before >= top_p, -math.inf)
    return torch.empty_like(scores).scatter(-1, order, ranked)


def forbidden_mask(forbidden: Iterable[int], size: int) -> Tensor:
    """Returns (V,) bool, True for the forbidden ids.

    Raises:
        InputError: an id outside the vocabulary, or all of it.
    """
    forbidden_tokens = torch.zeros(size, dtype=torch.bool)
    for token in forbidden:
        if not 0 <= token < size:
            raise InputError(f"forbidden id {token}, expected 0 or more and less than {size}.")
        forbidden_tokens[token] = True
    if bool(forbidden_tokens.all()):
        raise InputError(f"all {size} ids are forbidden, expected one or more to draw from.")
    return forbidden_tokens
