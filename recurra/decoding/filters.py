"""A model's distribution over the next token, narrowed to what may come."""

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.decoding.options import SamplingOptions
from recurra.errors import InputError

# Temperatures and repetition penalties by which a log-probability of float32 can be divided and multiplied.
_PLAIN = (1e-4, 1e4)


def filter_logits(logits: Tensor, options: SamplingOptions, seen: Tensor | None = None) -> Tensor:
    """The log-probabilities to draw from: what the options leave, renormalised, −inf for all else.

    In this order, each step on the distribution that the last one left:

    1. p = softmax(logits);
    2. repetition penalty θ: log p_i ← θ log p_i for the tokens seen. Keskar et al. 2019 (arXiv:1909.05858, sec. 4.1)
       divide the logit by θ, which makes a token with a negative logit likelier and hangs on a constant that the
       softmax ignores; a log-probability is never positive, so the factor is always a penalty for θ > 1;
    3. greedy: the most probable token gets all; of equals, the lowest id; the steps below have no say;
    4. temperature T: log p_i ← log p_i / T;
    5. top-k: the k most probable; of equals at the border the lower ids, so that exactly k stay (Fan et al. 2018);
    6. top-p: the smallest set, most probable first, with a mass of p or more; of equals the lower ids first (Holtzman
       et al. 2020);
    7. min-p: all with p_i ≥ min_p · max p (Nguyen et al. 2024, arXiv:2407.01082).

    Args:
        logits: (B, V) floating, up to a constant a row; log-probabilities do as well. −inf for what may never come.
        options: what to do.
        seen: (B, V) bool, the tokens that occurred already; needed for a repetition penalty.

    Returns:
        (B, V) log-probabilities in the dtype of `logits`.

    Raises:
        InputError: a repetition penalty without `seen`.
    """
    scores = logits.log_softmax(-1)
    # Where float32 would overflow or take a number for zero, the steps below are done in float64.
    if not (_PLAIN[0] <= options.temperature <= _PLAIN[1] and _PLAIN[0] <= options.repetition_penalty <= _PLAIN[1]):
        scores = scores.double()
    if options.repetition_penalty != 1:
        if seen is None:
            raise InputError(
                f"repetition_penalty={options.repetition_penalty} needs the tokens seen: pass seen=(B, V)."
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
    """Top-k, then top-p, on one stable sort: of equals the lower ids come first."""
    ranked, order = scores.sort(dim=-1, descending=True, stable=True)
    if top_k is not None:
        ranked[:, min(top_k, ranked.shape[1]) :] = -math.inf
    # All of the mass is every token: in floating point the last few would fall off the end of the sum.
    if top_p is not None and top_p < 1:
        mass = ranked.double().softmax(-1).cumsum(-1)
        before = F.pad(mass[:, :-1], (1, 0))
        ranked = ranked.masked_fill(before >= top_p, -math.inf)
    return torch.empty_like(scores).scatter(-1, order, ranked)


def barred_ids(forbidden: Iterable[int], size: int) -> Tensor:
    """(V,) bool, True for the ids that may never come.

    Raises:
        InputError: an id outside the vocabulary, or all of it.
    """
    barred = torch.zeros(size, dtype=torch.bool)
    for token in forbidden:
        if not 0 <= token < size:
            raise InputError(f"forbidden id {token}, expected 0 or more and less than {size}.")
        barred[token] = True
    if bool(barred.all()):
        raise InputError(f"all {size} ids are forbidden, expected one or more to draw from.")
    return barred
