"""Long short-term memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import sigmoid, tanh

from recurra.cells.cell import Cell
from recurra.cells.state import Gates, State


@dataclass(frozen=True)
class LSTM(Cell):
    """The LSTM with forget gate and without peepholes, as torch's `nn.LSTM`.

    i, f, o = σ(W_ih x_t + W_hh h_{t-1} + b), g = tanh(same), c_t = f c_{t-1} + i g, h_t = o tanh(c_t).
    The forget bias is what the initialisation makes it; torch's default is near 0.
    """

    gates = ("i", "f", "g", "o")
    states = ("h", "c")
    memory: ClassVar[Mapping[str, int]] = {"f": +1, "i": -1}
    paper = "Hochreiter & Schmidhuber (1997); forget gate: Gers, Schmidhuber & Cummins (2000)"

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """One step; see the class."""
        i = sigmoid(x.i + u.i)
        f = sigmoid(x.f + u.f)
        g = tanh(x.g + u.g)
        o = sigmoid(x.o + u.o)
        c = f * s.c + i * g
        return State(h=o * tanh(p.norm("c", c)), c=c), Gates(i=i, f=f, g=g, o=o)
