"""What is added to or divided into a hypothesis' log-probability to rank it, and what it may not say again."""

import math

import torch
from torch import Tensor


def length_penalty(length: int, weight: float) -> float:
    """((5 + n) / 6)^α of Wu et al. 2016 (arXiv:1609.08144, eq. 14), by which a log-probability is divided.

    Args:
        length: n, symbols of the hypothesis, its end among them where it has one.
        weight: α; 0 for none, more than 0 in favour of longer hypotheses.
    """
    return float(((5 + length) / 6) ** weight)


def coverage_penalty(coverage: Tensor, weight: float, mask: Tensor | None = None) -> Tensor:
    """β Σ_s log min(Σ_t a_ts, 1) of Wu et al. 2016 (eq. 14): below 0 for what of the source was hardly attended to.

    Args:
        coverage: (…, S), the attention to each source position, summed over the steps so far.
        weight: β, 0 or more.
        mask: bool, broadcast to `coverage`; True where there is a source position. All where None.

    Returns:
        (…), 0 or less and finite: a position that got nothing counts as the smallest number there is.
    """
    logs = coverage.clamp(min=torch.finfo(coverage.dtype).tiny, max=1.0).log()
    return weight * (logs if mask is None else logs.masked_fill(~mask, 0.0)).sum(-1)


def block_repeats(log_probs: Tensor, tokens: Tensor, size: int) -> Tensor:
    """The log-probabilities with −inf for tokens that would complete a run of `size` tokens a second time.

    Args:
        log_probs: (N, V).
        tokens: (N, t) int64, those of each hypothesis so far.
        size: how long a run that may not come again is, 1 or more.
    """
    if tokens.shape[1] < size:
        return log_probs
    runs = tokens.unfold(1, size, 1)  # (N, t - size + 1, size)
    last = tokens[:, tokens.shape[1] - size + 1 :].unsqueeze(1)  # (N, 1, size - 1)
    rows, places = (runs[..., :-1] == last).all(-1).nonzero(as_tuple=True)
    return log_probs.index_put((rows, runs[rows, places, -1]), log_probs.new_tensor(-math.inf))
