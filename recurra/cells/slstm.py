"""Long short-term memory with exponential gates and a stabiliser."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, sigmoid

from recurra.cells.activations import Activation, activation, log_sigmoid
from recurra.cells.cell import Cell
from recurra.cells.initialise import Initialisation
from recurra.cells.state import Gates, State
from recurra.cells.weights import Weights
from recurra.errors import InputError, nearest

_FORGET = ("exp", "sigmoid")


@dataclass(frozen=True)
class SLSTM(Cell):
    """An LSTM with exponential gates.

        f̃ = σ(x_f + u_f), or exp(x_f + u_f)
        m_t = max(log f̃ + m_{t-1}, x_i + u_i)
        i = exp(x_i + u_i - m_t)
        f = exp(log f̃ + m_{t-1} - m_t)
        g = tanh(x_g + u_g)
        o = σ(x_o + u_o)
        c_t = f c_{t-1} + i g
        n_t = f n_{t-1} + i
        h_t = o c_t / n_t

    Eq. 8-17 of the paper, whose z is g here, in torch's order of gates, i f g o; W_hh is one full block per gate (one
    head). n sums the weights of the inputs in c, and m keeps both exponentials at 1 or below without changing
    h. A sequence starts from zeros: as long as n is 0 nothing is kept, as with m = -∞ before the first step.

    Args:
        forget: "sigmoid" or "exp", the forget gate before it is stabilised.
        activation: the name of the function of g, here tanh, or a function itself, elementwise.
    """

    forget: str = "sigmoid"
    activation: str | Activation = "tanh"

    gates = ("i", "f", "g", "o")
    states = ("h", "c", "n", "m")
    memory: ClassVar[Mapping[str, int]] = {"f": +1, "i": -1}
    paper = "Beck et al. (2024), xLSTM: extended long short-term memory"

    def __post_init__(self) -> None:
        if self.forget not in _FORGET:
            raise InputError(f"slstm: there is no forget gate {self.forget!r}. {nearest(self.forget, _FORGET)}")
        activation(self.activation)

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """One step; see the class."""
        log_i = x.i + u.i
        log_f = log_sigmoid(x.f + u.f) if self.forget == "sigmoid" else x.f + u.f
        g = activation(self.activation)(x.g + u.g)
        o = sigmoid(x.o + u.o)
        # In logarithms, so that no exponential overflows; subtracting m cancels in the quotient c / n.
        kept = torch.where(s.n == 0, -math.inf, log_f + s.m)
        m = torch.maximum(kept, log_i)
        i = torch.exp(log_i - m)
        f = torch.exp(kept - m)
        c = f * s.c + i * g
        n = f * s.n + i
        # One of i and f is 1, so that n >= 1 from the first step on: the bound acts only on other states (a learned
        # one, one changed by zoneout), whose n may be near 0.
        return State(h=o * c / n.clamp(min=1), c=c, n=n, m=m), Gates(i=i, f=f, g=g, o=o)

    def initialise(self, weights: Weights, how: Initialisation, generator: Generator | None = None) -> None:
        """Fills the parameters in place.

        Raises:
            InputError: chrono initialisation of an exponential forget gate.
        """
        if how.chrono is not None and self.forget == "exp":
            raise InputError(
                "slstm: chrono is defined for a sigmoid forget gate, not for forget='exp'. Use forget_bias"
            )
        super().initialise(weights, how, generator)
