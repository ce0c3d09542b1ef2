"""The step of a stack in PyTorch operators: every cell, device and dtype."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.cells import State
from recurra.engine.run import run
from recurra.engine.stream.source import LayerSource


class ReferenceStack:
    """A stack that runs step by step on the reference engine.

    Args:
        layers: the layers from the bottom to the top.
        states: the state of each layer, which is copied.
    """

    def __init__(self, layers: Sequence[LayerSource], states: Sequence[State]) -> None:
        self.layers, self.states = layers, [state.map(lambda tensor: tensor.detach().clone()) for state in states]

    @torch.no_grad()
    def run(self, x: Tensor, y: Tensor, steps: int) -> None:
        """Runs the steps of x (T, B, I) and writes y (T, B, P); T may be left out for one step."""
        inputs, outputs = x.view(steps, 1, -1, x.shape[-1]), y.view(steps, -1, y.shape[-1])
        for x_t, y_t in zip(inputs, outputs, strict=True):
            current = x_t  # (1, B, features)
            for index, layer in enumerate(self.layers):
                result = run(layer.request(current, self.states[index]), "unroll")
                self.states[index] = result.state
                current = _connect(layer, current, result.y)
            y_t.copy_(current[0])


def _connect(layer: LayerSource, below: Tensor, y: Tensor) -> Tensor:
    if layer.connection == "residual":
        return below + y
    if layer.highway is not None:
        t = torch.sigmoid(F.linear(below, *layer.highway()))
        return t * y + (1 - t) * below
    return y
