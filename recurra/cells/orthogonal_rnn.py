"""The recurrent network with an orthogonal recurrent matrix."""

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


@dataclass(frozen=True)
class OrthogonalRNN(Cell):
    """A recurrence that preserves lengths.

        A = V - Vᵀ
        Q = (I + A)^-1 (I - A)
        h_t = relu(x_h + Q h_{t-1} + b_hh)

    V is `weight_hh`, (H, H), an unconstrained matrix; Q, its Cayley transform, is the orthogonal matrix that multiplies
    h. Through time, a gradient keeps its norm exactly with activation="identity"; with relu it loses the units that are
    off; tanh reduces it most, and none of them increases it. Q is a rotation without the eigenvalue -1: the paper's
    fixed signs D are all + here, and its modReLU, which is discontinuous at 0, is not available. V is initialised so
    that the eigenvalues of Q are exp(±iθ), θ ~ U(0, π/2), as in the paper; another `recurrent` of the initialisation
    initialises V itself. Q is computed once per call: a stream of single steps computes it at each step.

    Args:
        activation: the name of the function of h_t, here relu, or a function itself, elementwise.
    """

    activation: str | Activation = "relu"

    gates = ("h",)
    paper = "Helfrich, Willmott & Ye (2018), Orthogonal recurrent neural networks with scaled Cayley transform"

    def __post_init__(self) -> None:
        activation(self.activation)

    def recurrent_weight(self, hh: Tensor) -> Tensor:
        """Q of V, (H, H)."""
        # torch.linalg.solve has no 16-bit dtypes.
        V = hh if hh.dtype == torch.float64 else hh.float()
        A, I = skew("OrthogonalRNN", V), torch.eye(len(V), dtype=V.dtype, device=V.device)
        # The singular values of I + A are at least 1. A matrix exponential gives an orthogonal matrix too, but takes
        # ten products, and in the backward pass the exponential of a matrix of twice the size.
        Q: Tensor = torch.linalg.solve(I + A, I - A)
        return Q.to(hh.dtype)

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """One step; see the class."""
        f = activation(self.activation)
        return State(h=f(x.h + u.h)), Gates()

    def initialise(self, weights: Weights, how: Initialisation, generator: Generator | None = None) -> None:
        """Fills the parameters in place: V as the paper does, the others as `how` says."""
        super().initialise(weights, how, generator)
        if how.recurrent != "torch":
            return
        with torch.no_grad():
            upper = weights.hh.zero_().diagonal(1)[
                ::2
            ]  # one per pair of units, (H // 2,): tan(θ/2) gives the eigenvalues exp(±iθ) of Q
            upper.uniform_(0, math.pi / 2, generator=generator).div_(2).tan_()
