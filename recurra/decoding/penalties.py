"""Penalties in the score of a hypothesis (length, coverage), and blocking of repeated n-grams."""

import math

import torch
from torch import Tensor


def length_penalty(length: int, weight: float) -> float:
    """Returns ((5 + n) / 6)^α of Wu et al. 2016 (arXiv:1609.08144, eq. 14), the divisor of a log-probability.

    Args:
        length: n, the number of symbols of the hypothesis, its end symbol included.
        weight: α; 0 for no penalty, above 0 to favour longer hypotheses.
    """
    return float(((5 + length) / 6) ** weight)


def coverage_penalty(coverage: Tensor, weight: float, mask: Tensor | None = None) -> Tensor:
    """Returns β Σ_s log min(Σ_t a_ts, 1) of Wu et al. 2016 (eq. 14), a penalty for source positions left unattended.

    Args:
        coverage: (…, S), the attention to each source position, summed over the steps so far.
        weight: β, 0 or more.
        mask: bool, broadcast to `coverage`; True where there is a source position. None for all.

    Returns:
        (…), 0 or less and finite: attention of 0 counts as the smallest positive number of the dtype.
    """
    logs = coverage.clamp(min=torch.finfo(coverage.dtype).tiny, max=1.0).log()
    return weight * (logs if mask is None else logs.masked_fill(~mask, 0.0)).sum(-1)


def block_repeats(log_probs: Tensor, tokens: Tensor, size: int) -> Tensor:
    """Returns the log-probabilities with −inf for tokens that would repeat an n-gram of `size` tokens.

    Args:
        log_probs: (N, V).
        tokens: (N, t) int64, the tokens of each hypothesis so far.
        size: n of the n-grams, 1 or more.
    """
    if tokens.shape[1] < size:
        return log_probs
    ngrams = tokens.unfold(1, size, 1)  # (N, t - size + 1, size)
    last = tokens[:, tokens.shape[1] - size + 1 :].unsqueeze(1)  # (N, 1, size - 1)
    rows, places = (ngrams[..., :-1] == last).all(-1).nonzero(as_tuple=True)
    return log_probs.index_put((rows, ngrams[rows, places, -1]), log_probs.new_tensor(-math.inf))
