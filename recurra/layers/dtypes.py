"""Checks dtypes: input, state and weights must have the same one, unless autocast converts them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from recurra.cells import State, States
from recurra.errors import InputShapeError

# The dtypes that autocast converts; it leaves float64 unchanged.
_CONVERTED = (torch.float32, torch.bfloat16, torch.float16)


def check_dtypes(name: str, x: Tensor, states: Iterable[State], weight: Tensor) -> None:
    """Checks that x and the states have the dtype of the weights.

    Raises:
        InputShapeError: another dtype, which torch's products refuse or, for a state, promote; a sparse x.
    """
    if x.layout != torch.strided:
        raise InputShapeError(f"{name}: x is a sparse tensor ({x.layout}), expected a dense one: x.to_dense()")
    kind = weight.device.type
    converts = torch.is_autocast_enabled(kind) if kind not in ("meta", "lazy") else False
    parts = [(f"the state's {field}", tensor) for state in states for field, tensor in state._asdict().items()]
    for what, tensor in [("x", x), *parts]:
        if tensor.dtype == weight.dtype or (converts and tensor.dtype in _CONVERTED and weight.dtype in _CONVERTED):
            continue
        raise InputShapeError(
            f"{name}: {what} is {tensor.dtype} but the weights are {weight.dtype}. "
            f"Convert it, .to({weight.dtype}), or the layer, .to({tensor.dtype})"
        )


def like_input(states: States, x: Tensor) -> States:
    """Initial states of 0 in the dtype of x, as in torch.nn: under autocast not that of the weights."""
    return tuple(state.to(x.dtype) for state in states)
