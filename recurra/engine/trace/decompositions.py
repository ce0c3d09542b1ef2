"""Decompositions of PyTorch's operators where its own table has none, or one that is unstable or not elementwise."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


@functools.cache
def decompositions() -> dict[Any, Callable[..., Any]]:
    """The table for `make_fx`: PyTorch's core table, decompositions that it lacks, and the functions of this file."""
    from torch._decomp import core_aten_decompositions, get_decompositions

    aten = torch.ops.aten
    further = get_decompositions(
        [aten.gelu, aten.gelu_backward, aten.elu, aten.elu_backward, aten.leaky_relu, aten.leaky_relu_backward,
         aten.hardtanh, aten.hardtanh_backward]
    )  # fmt: skip
    own = {overload: function for function, overloads in _own().items() for overload in overloads}
    return {**dict(core_aten_decompositions()), **further, **own}


def _own() -> dict[Callable[..., Any], list[Any]]:
    aten = torch.ops.aten
    return {
        _log_sigmoid_backward: [aten.log_sigmoid_backward.default],
        _softplus_backward: [aten.softplus_backward.default],
        _shrink_backward: [aten.softshrink_backward.default, aten.hardshrink_backward.default],
        _logit: [aten.logit.default],
        _logit_backward: [aten.logit_backward.default],
        _isnan: [aten.isnan.default],
        _isinf: [aten.isinf.default],
        _signbit: [aten.signbit.default],
        _logical_xor: [aten.logical_xor.default, aten.bitwise_xor.Tensor],
        _fmax: [aten.fmax.default],
        _fmin: [aten.fmin.default],
        _remainder: [aten.remainder.Scalar, aten.remainder.Tensor],
        _div_mode: [aten.div.Tensor_mode, aten.div.Scalar_mode],
        _var: [aten.var.correction],
        _vector_norm: [aten.linalg_vector_norm.default],
        _layer_norm: [aten.native_layer_norm.default],
    }


# -- stable derivatives


def _log_sigmoid_backward(gradient: Tensor, x: Tensor, buffer: Tensor) -> Tensor:
    # PyTorch's decomposition multiplies integers by exp(-|x|) / (1 + exp(-|x|)), which is equal.
    return gradient * torch.sigmoid(-x)


def _softplus_backward(gradient: Tensor, x: Tensor, beta: float, threshold: float) -> Tensor:
    # PyTorch's decomposition is exp(z) / (exp(z) + 1), which is NaN above 88.7 for a higher threshold.
    z = x * beta
    return torch.where(z > threshold, gradient, gradient * torch.sigmoid(z))


def _shrink_backward(gradient: Tensor, x: Tensor, ends: float) -> Tensor:
    return torch.where((x >= -ends) & (x <= ends), 0.0, gradient)


def _logit(x: Tensor, eps: float | None = None) -> Tensor:
    inside = x if eps is None else torch.clamp(x, eps, 1 - eps)
    return torch.log(inside / (1 - inside))


def _logit_backward(gradient: Tensor, x: Tensor, eps: float | None = None) -> Tensor:
    low, outside = (0.0, math.nan) if eps is None else (eps, 0.0)
    return torch.where((x >= low) & (x <= 1 - low), gradient / (x * (1 - x)), outside)


# -- conditions


def _isnan(x: Tensor) -> Tensor:
    return x != x


def _isinf(x: Tensor) -> Tensor:
    return x.abs() == math.inf


def _signbit(x: Tensor) -> Tensor:
    return torch.copysign(torch.ones_like(x), x) < 0


def _logical_xor(x: Tensor, y: Tensor) -> Any:
    if torch.bool not in (x.dtype, y.dtype) and not x.is_floating_point():
        return NotImplemented  # bits of whole numbers
    return torch.ne(x != 0, y != 0)


# -- extremes, remainders, quotients


def _fmax(x: Tensor, y: Tensor) -> Tensor:
    return torch.where(x != x, y, torch.where(y != y, x, torch.maximum(x, y)))


def _fmin(x: Tensor, y: Tensor) -> Tensor:
    return torch.where(x != x, y, torch.where(y != y, x, torch.minimum(x, y)))


def _remainder(x: Tensor, y: Any) -> Tensor:
    rest = torch.fmod(x, y)
    return torch.where((rest != 0) & ((rest < 0) != (y < 0)), rest + y, rest)


def _div_mode(x: Tensor, y: Any, *, rounding_mode: str | None) -> Any:
    if rounding_mode is None:
        return x / y
    if rounding_mode == "trunc":
        return torch.trunc(x / y)
    # By the remainder, as PyTorch: floor(x / y) is 1 too large where x / y is rounded up to an integer.
    rest = torch.fmod(x, y)
    quotient = (x - rest) / y
    quotient = torch.where((rest != 0) & ((rest < 0) != (y < 0)), quotient - 1, quotient)
    whole = torch.floor(quotient)
    whole = torch.where(quotient - whole > 0.5, whole + 1, whole)
    exact = x / y
    whole = torch.where(quotient != 0, whole, torch.copysign(torch.zeros_like(exact), exact))
    if isinstance(y, Tensor):
        return torch.where(y == 0, exact, whole)
    return whole if y else exact


# -- over the units of a row


def _var(x: Tensor, dim: list[int] | None = None, *, correction: float | None = None, keepdim: bool = False) -> Any:
    if dim is None or len(dim) != 1:
        return NotImplemented
    centred = x - x.mean(dim, keepdim=True)
    count = x.shape[dim[0]] - (1 if correction is None else correction)
    return (centred * centred).sum(dim, keepdim=keepdim) / max(count, 0)


def _vector_norm(
    x: Tensor, order: float = 2, dim: list[int] | None = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    if dim is None or len(dim) != 1 or order not in (1, 2) or dtype not in (None, x.dtype):
        return NotImplemented
    if order == 1:
        return x.abs().sum(dim, keepdim=keepdim)
    return (x * x).sum(dim, keepdim=keepdim).sqrt()


def _layer_norm(x: Tensor, shape: list[int], weight: Tensor | None, bias: Tensor | None, eps: float) -> Any:
    if len(shape) != 1:
        return NotImplemented
    mean = x.mean(-1, keepdim=True)
    centred = x - mean
    scale = torch.rsqrt((centred * centred).mean(-1, keepdim=True) + eps)
    normal = centred * scale
    normal = normal if weight is None else normal * weight
    return normal if bias is None else normal + bias, mean, scale
