"""The gradient of an update: cleared, measured and clipped, without a loop over parameters in Python."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm


def clear(parameters: Iterable[nn.Parameter]) -> None:
    """Drop every gradient, so that the backward pass writes instead of adding."""
    for parameter in parameters:
        parameter.grad = None


def norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """The Euclidean norm of all gradients together, a scalar on their device."""
    return get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])


def clip(parameters: list[nn.Parameter], gradient_norm: Tensor, *, limit: float | None, by: str) -> None:
    """Bound the gradients in place.

    By norm, the gradient g becomes g · min(1, limit / |g|), which keeps its direction (Pascanu, Mikolov & Bengio 2013,
    algorithm 1); by value, each entry is cut to [-limit, limit].

    Args:
        parameters: Those whose `.grad` is bounded.
        gradient_norm: Scalar, what `norm` measured.
        limit: The bound; None for none.
        by: "norm" or "value".
    """
    if limit is None:
        return
    if by == "value":
        clip_grad_value_(parameters, limit)
    # Where reading the norm costs nothing, a multiplication by one is saved; on a GPU it would wait for the device.
    elif gradient_norm.device.type != "cpu" or gradient_norm.item() > limit:
        clip_grads_with_norm_(parameters, limit, gradient_norm)
