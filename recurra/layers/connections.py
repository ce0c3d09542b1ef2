"""Residual and highway connections around layers, with which deep stacks train."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn


def register_highway(module: nn.Module, layer: int, width: int, device: object, dtype: object) -> None:
    """Registers W_t (width, width) and b_t (width,) of one layer's highway gate."""
    for name, shape in ((f"weight_highway_l{layer}", (width, width)), (f"bias_highway_l{layer}", (width,))):
        module.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))  # type: ignore[call-overload]


def fill_highway(module: nn.Module, layer: int, generator: Generator | None) -> None:
    """W_t ~ Xavier, b_t = -1: initially most of the input bypasses the layer (Srivastava et al. 2015, section 2.2)."""
    nn.init.xavier_uniform_(getattr(module, f"weight_highway_l{layer}"), generator=generator)
    nn.init.constant_(getattr(module, f"bias_highway_l{layer}"), -1.0)


def connect(module: nn.Module, layer: int, below: Tensor, y: Tensor) -> Tensor:
    """Combines the input and the output of a layer, both (T, B, width); returns y without a connection.

    `module.residual` (He et al. 2016): below + y. `module.highway` (Srivastava et al. 2015): t y + (1 - t) below with
    t = σ(W_t below + b_t).
    """
    if module.residual:
        return below + y
    if module.highway:
        W, b = getattr(module, f"weight_highway_l{layer}"), getattr(module, f"bias_highway_l{layer}")
        t = torch.sigmoid(F.linear(below, W, b))  # (T, B, width)
        return t * y + (1 - t) * below
    return y
