"""The recurrent network whose units do not read each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator

from recurra.cells.activations import Activation, activation
from recurra.cells.cell import Cell
from recurra.cells.initialise import Initialisation
from recurra.cells.state import Gates, State
from recurra.cells.weights import Weights


@dataclass(frozen=True)
class IndRNN(Cell):
    """Units with independent recurrences.

        h_t = relu(x_h + u h_{t-1})

    u is one number per unit, so W_hh has no rows; units interact in the next layer. u is initialised from U(0, 1), the
    paper's U(0, γ^(1/T)) for long sequences. The gradient through T steps grows as u^T: where |u| > 1 it explodes, and
    the paper keeps |u| below γ^(1/T) by clipping after each update, which is left to the training loop.

    Args:
        activation: the name of the function of h_t, here relu, or a function itself, elementwise.
    """

    activation: str | Activation = "relu"

    gates = ("h",)
    recurrent = ()
    vectors = ("u",)
    paper = "Li et al. (2018), Independently recurrent neural network (IndRNN)"

    def __post_init__(self) -> None:
        activation(self.activation)

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """One step; see the class."""
        f = activation(self.activation)
        return State(h=f(x.h + p.u * s.h)), Gates()

    def initialise(self, weights: Weights, how: Initialisation, generator: Generator | None = None) -> None:
        """Fills the parameters in place: u ~ U(0, 1), the others as `how` says."""
        super().initialise(weights, how, generator)
        with torch.no_grad():
            weights.vectors[0].uniform_(0, 1, generator=generator)
