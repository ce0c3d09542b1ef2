"""Activations by name, for the command line and saved models."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.errors import InputError, InputTypeError, nearest

Activation = Callable[[Tensor], Tensor]


def _identity(x: Tensor) -> Tensor:
    return x


ACTIVATIONS: dict[str, Activation] = {
    "elu": F.elu,
    "gelu": F.gelu,
    "hardsigmoid": F.hardsigmoid,
    "hardtanh": F.hardtanh,
    "identity": _identity,
    "leaky_relu": F.leaky_relu,
    "mish": F.mish,
    "relu": torch.relu,
    "selu": F.selu,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "sin": torch.sin,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "tanh": torch.tanh,
}


def activation(which: str | Activation) -> Activation:
    """The function of that name; a callable is returned as it is.

    Raises:
        InputError: no activation has that name, or it is neither a name nor a function.
    """
    if callable(which):
        return which
    if not isinstance(which, str):
        raise InputTypeError(f"an activation is a {type(which).__name__}, expected a name such as 'tanh' or a function")
    if which not in ACTIVATIONS:
        raise InputError(f"there is no activation {which!r}. {nearest(which, ACTIVATIONS)}")
    return ACTIVATIONS[which]


def log_sigmoid(x: Tensor) -> Tensor:
    """The logarithm of σ(x), without the underflow of the logarithm of a sigmoid."""
    # F.logsigmoid starts all threads even for a few numbers: 8 ms for (3, 6) on two busy cores, against 0.15 ms here.
    # Beyond the threshold softplus is linear; its default of 20 would show in float64.
    return -F.softplus(-x, threshold=40)
