"""The experiment of the studies explode and vanish: one ReLU layer with input at the first step only."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from recurra.cells import Initialisation
from recurra.layers import RNN


def norms(units: int, variance: float, *, steps: int, generator: Generator) -> Tensor:
    """Returns ‖h_t‖ / ‖h_1‖ of h_t = relu(W_hh h_{t-1}), W_hh ~ N(0, variance / units), (steps,).

    Args:
        units: n.
        variance: s.
        steps: T; h_1 is relu of standard normal numbers.
        generator: draws W_hh and the input.
    """
    init = Initialisation(recurrent="normal", variance=variance)
    layer = RNN(1, units, nonlinearity="relu", bias=False, init=init)
    layer.reset_parameters(generator)
    h = torch.randn(1, 1, units, generator=generator).relu()
    with torch.no_grad():
        y, _ = layer(torch.zeros(steps - 1, 1, 1), h)  # (T - 1, 1, n)
    lengths = torch.linalg.vector_norm(torch.cat([h, y]).double(), dim=-1)[:, 0]  # (T,)
    relative: Tensor = lengths / lengths[0]
    return relative


def growth(norms: Tensor) -> Tensor:
    """Returns the growth factor of ‖h_t‖² per step, the geometric mean over the steps of norms (…, T)."""
    steps = norms.shape[-1] - 1
    ratio: Tensor = norms[..., -1] / norms[..., 0]
    return ratio.pow(2 / steps)
