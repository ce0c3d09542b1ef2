"""The recurrent network as a differential equation that neither grows nor forgets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from recurra.cells.activations import Activation, activation
from recurra.cells.cell import Cell
from recurra.cells.initialise import Initialisation
from recurra.cells.skew import skew
from recurra.cells.state import Gates, State
from recurra.cells.weights import Weights
from recurra.errors import InputError


@dataclass(frozen=True)
class AntisymmetricRNN(Cell):
    """A stable ODE, solved by Euler steps.

        h_t = h_{t-1} + ε tanh(x_h + (V - Vᵀ - γ I) h_{t-1} + b_hh)

    V is `weight_hh`, (H, H). V - Vᵀ has imaginary eigenvalues, so that a gradient through time neither vanishes
    nor explodes as ε goes to 0; the diffusion γ compensates the growth that a finite ε adds. A step moves each
    unit by ε at most. W_ih ~ N(0, 1/I), V ~ N(0, 1/H) and biases are initially 0 (appendix C of the paper, σ_w = 1),
    unless the initialisation sets them.

    Args:
        step_size: ε; the paper tries 0.01, 0.1 and 1.
        diffusion: γ, 0 or more.
        activation: the name of the function, here tanh, or a function itself, elementwise.
    """

    step_size: float = 0.1
    diffusion: float = 0.1
    activation: str | Activation = "tanh"

    gates = ("h",)
    paper = "Chang et al. (2019), AntisymmetricRNN: a dynamical system view on recurrent neural networks"

    def __post_init__(self) -> None:
        check_ode("antisymmetric_rnn", self.step_size, self.diffusion)
        activation(self.activation)

    def recurrent_weight(self, hh: Tensor) -> Tensor:
        """V - Vᵀ - γ I of V, (H, H)."""
        return antisymmetric("AntisymmetricRNN", hh, self.diffusion)

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """One step; see the class."""
        f = activation(self.activation)
        return State(h=s.h + self.step_size * f(x.h + u.h)), Gates()

    def initialise(self, weights: Weights, how: Initialisation, generator: Generator | None = None) -> None:
        """Fills the parameters in place as the paper does, except where `how` says otherwise."""
        super().initialise(weights, how, generator)
        start_ode(weights, how, generator)


def antisymmetric(name: str, hh: Tensor, diffusion: float) -> Tensor:
    """V - Vᵀ - γ I of hh, (H, H)."""
    return skew(name, hh) - diffusion * torch.eye(len(hh), dtype=hh.dtype, device=hh.device)


def start_ode(weights: Weights, how: Initialisation, generator: Generator | None) -> None:
    """W_ih ~ N(0, 1/I), V ~ N(0, 1/H), biases 0, unless `how` sets them."""
    H = weights.hh.shape[1]
    gate_has_a_rule = how.forget_bias is not None or how.chrono is not None
    with torch.no_grad():
        if how.input == "torch":
            weights.ih.normal_(0, 1 / math.sqrt(weights.ih.shape[1]), generator=generator)
        if how.recurrent == "torch":
            weights.hh.normal_(0, 1 / math.sqrt(H), generator=generator)
        for bias in (weights.b_ih, weights.b_hh):
            if bias is not None:
                bias[: H if gate_has_a_rule else None].zero_()  # the gate's rows follow those of h


def check_ode(name: str, step_size: float, diffusion: float) -> None:
    """Checks that ε > 0 and γ >= 0."""
    if not step_size > 0:
        raise InputError(f"{name}: step_size={step_size} must be above 0; the paper tries 0.01, 0.1 and 1")
    if not diffusion >= 0:
        raise InputError(f"{name}: diffusion={diffusion} must be 0 or more: below that h grows without bound")
