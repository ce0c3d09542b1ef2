"""The k most probable of many tokens, with deterministic ties."""

import torch
from torch import Tensor

_CHUNK = 64


def most_probable(log_probs: Tensor, count: int) -> Tensor:
    """Returns the ids of the `count` largest entries of each row; ties go to the lower ids.

    In a large vocabulary chunks are compared first: the largest `count` entries lie in the `count` chunks with the
    largest maxima. On a CPU with (320, 8000) and count 5 this takes 2.5 ms, where `topk` takes 5 to 9 ms and a
    log-softmax 3.4 ms; with (64, 8000) and count 1, half the time of `argmax`. Besides, `topk` alone does not define
    which of equal entries it returns.

    Args:
        log_probs: (N, V) floating; −inf counts as the smallest, NaN as the largest.
        count: 1 to V.

    Returns:
        (N, count) int64 ids, ascending in each row, not by value.
    """
    size = log_probs.shape[1]
    if size < 8 * count * _CHUNK:
        return _first_largest(log_probs, count)
    whole = size // _CHUNK * _CHUNK
    maxima = log_probs[:, :whole].unflatten(1, (-1, _CHUNK)).amax(-1)  # (N, V / chunk)
    chunks = _first_largest(maxima, count)
    within = torch.arange(_CHUNK, device=log_probs.device)
    ids = (chunks.unsqueeze(-1) * _CHUNK + within).flatten(1)  # (N, count * chunk), ascending
    if whole < size:
        rest = torch.arange(whole, size, device=log_probs.device).expand(len(ids), -1)
        ids = torch.cat([ids, rest], 1)
    return ids.gather(1, _first_largest(log_probs.gather(1, ids), count))


def _first_largest(values: Tensor, count: int) -> Tensor:
    """Returns (N, count), the indices of the largest values in ascending order; ties go to the first."""
    if count == 1:
        return values.argmax(-1, keepdim=True)
    largest, places = values.topk(count, sorted=False)
    # More entries than `count` reach the smallest selected value: a tie at the border. It is rare, and the stable sort
    # that resolves it is slow.
    if int((values >= largest.amin(-1, keepdim=True)).sum()) != largest.numel():
        places = values.sort(dim=-1, descending=True, stable=True).indices[:, :count]
    return places.sort(dim=-1).values
