"""Long short-term memory without a recurrent product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import sigmoid

from recurra.cells.activations import Activation, activation, log_sigmoid
from recurra.cells.cell import Cell
from recurra.cells.state import Gates, State


@dataclass(frozen=True)
class MinLSTM(Cell):
    """An LSTM whose gates do not read h.

        f, i = σ(x_f), σ(x_i)
        f', i' = f / (f + i), i / (f + i)
        n = x_n
        h_t = f' h_{t-1} + i' n

    The sequential form of the paper, not the logarithmic one for a parallel scan:
    n is linear and h may have either sign. The two gates sum to 1, so that the scale of h does not depend on the
    length. The step returns f' and i'. The gates in the order f i n; none is recurrent, so W_hh has no rows.

    Args:
        activation: the name of a function of n, elementwise, or a function itself; identity as in the paper.
    """

    activation: str | Activation = "identity"

    gates = ("f", "i", "n")
    recurrent = ()
    memory: ClassVar[Mapping[str, int]] = {"f": +1, "i": -1}
    paper = "Feng et al. (2024), Were RNNs all we needed?"

    def __post_init__(self) -> None:
        activation(self.activation)

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """One step; see the class."""
        # f / (f + i) = σ(log f - log i); the quotient would be 0 / 0 if both gates underflow.
        f = sigmoid(log_sigmoid(x.f) - log_sigmoid(x.i))
        i = 1 - f
        n = activation(self.activation)(x.n)
        return State(h=f * s.h + i * n), Gates(f=f, i=i, n=n)
