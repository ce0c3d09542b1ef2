"""The number types of what a layer receives: one for input, state and weights, unless autocast converts them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from recurra.cells import State, States
from recurra.errors import InputShapeError

# What autocast converts; float64 it leaves alone.
_CONVERTED = (torch.float32, torch.bfloat16, torch.float16)


def check_dtypes(name: str, x: Tensor, states: Iterable[State], weight: Tensor) -> None:
    """X and the states must have the number type of the weights.

    Raises:
        InputShapeError: another number type, which torch's products would refuse or, for a state, compute with
            unequally; a sparse x.
    """
    if x.layout != torch.strided:
        raise InputShapeError(f"{name}: x is a sparse tensor ({x.layout}), expected a dense one: x.to_dense()")
    kind = weight.device.type
    converts = torch.is_autocast_enabled(kind) if kind not in ("meta", "lazy") else False
    parts = [(f"the state's {field}", tensor) for one in states for field, tensor in one._asdict().items()]
    for what, tensor in [("x", x), *parts]:
        if tensor.dtype == weight.dtype or (converts and tensor.dtype in _CONVERTED and weight.dtype in _CONVERTED):
            continue
        raise InputShapeError(
            f"{name}: {what} is {tensor.dtype} but the weights are {weight.dtype}. "
            f"Convert it, .to({weight.dtype}), or the layer, .to({tensor.dtype})"
        )


def like_input(states: States, x: Tensor) -> States:
    """Initial states of 0 in the number type of x, as torch.nn makes them: not the weights' type under autocast."""
    return tuple(one.to(x.dtype) for one in states)
