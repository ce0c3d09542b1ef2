"""Clears, measures and clips the gradient of an update, without a Python loop over parameters where possible."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm


def clear(parameters: Iterable[nn.Parameter]) -> None:
    """Sets every gradient to None, so that the backward pass writes instead of adding."""
    for parameter in parameters:
        parameter.grad = None


def norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Returns the Euclidean norm over all gradients, a scalar on their device."""
    return get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])


def clip(parameters: list[nn.Parameter], gradient_norm: Tensor, *, limit: float | None, by: str) -> None:
    """Clips the gradients in place.

    By norm, the gradient g becomes g · min(1, limit / |g|), which keeps its direction (Pascanu, Mikolov & Bengio 2013,
    algorithm 1); by value, each entry is clamped to [-limit, limit].

    Args:
        parameters: The parameters whose `.grad` is clipped.
        gradient_norm: Scalar, the result of `norm`.
        limit: The bound; None for no clipping.
        by: "norm" or "value".
    """
    if limit is None:
        return
    if by == "value":
        clip_grad_value_(parameters, limit)
    # On a CPU reading the norm is free and can save a multiplication by one; on a GPU reading it would synchronise.
    elif gradient_norm.device.type != "cpu" or gradient_norm.item() > limit:
        clip_grads_with_norm_(parameters, limit, gradient_norm)
