"""The antisymmetric recurrent network with a gate on its step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Generator, Tensor, sigmoid

from recurra.cells.activations import Activation, activation
from recurra.cells.antisymmetric_rnn import antisymmetric, check_ode, start_ode
from recurra.cells.cell import Cell
from recurra.cells.initialise import Initialisation
from recurra.cells.state import Gates, State
from recurra.cells.weights import Weights


@dataclass(frozen=True)
class GatedAntisymmetricRNN(Cell):
    """A stable ODE with a gated step size.

        u = (V - Vᵀ - γ I) h_{t-1} + b_hh
        z = σ(x_z + u)
        h_t = h_{t-1} + ε z tanh(x_h + u)

    V is `weight_hh`, (H, H): gate and candidate share one recurrent product (and its bias), which keeps the eigenvalues
    of `antisymmetric_rnn`. z weighs the new state: a forget bias of b begins with b_z = -b. The gates in the
    order h z; only h has rows in W_hh.

    Args:
        step_size: ε; the paper tries 0.01, 0.1 and 1.
        diffusion: γ, 0 or more.
        activation: the name of the function of the candidate, here tanh, or a function itself, elementwise.
    """

    step_size: float = 0.1
    diffusion: float = 0.1
    activation: str | Activation = "tanh"

    gates = ("h", "z")
    recurrent = ("h",)
    memory: ClassVar[Mapping[str, int]] = {"z": -1}
    paper = "Chang et al. (2019), AntisymmetricRNN: a dynamical system view on recurrent neural networks"

    def __post_init__(self) -> None:
        check_ode("gated_antisymmetric_rnn", self.step_size, self.diffusion)
        activation(self.activation)

    def recurrent_weight(self, hh: Tensor) -> Tensor:
        """V - Vᵀ - γ I of V, (H, H)."""
        return antisymmetric("GatedAntisymmetricRNN", hh, self.diffusion)

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """One step; see the class."""
        f = activation(self.activation)
        z = sigmoid(x.z + u.h)
        return State(h=s.h + self.step_size * z * f(x.h + u.h)), Gates(z=z)

    def initialise(self, weights: Weights, how: Initialisation, generator: Generator | None = None) -> None:
        """Fills the parameters in place as the paper does, except where `how` says otherwise."""
        super().initialise(weights, how, generator)
        start_ode(weights, how, generator)
