"""A cell as a user writes it, that the engines are measured on: nothing in the package knows it."""

from __future__ import annotations

from typing import Any

import torch

from recurra.cells import Cell, Gates, State


class Leaky(Cell):
    """A leak that is learned for each unit and step.

    a = σ(x_a + u_a)
    h_t = a h_{t-1} + (1 - a) tanh(x_n + u_n)
    """

    gates = ("n", "a")

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """One step; see the class."""
        a = torch.sigmoid(x.a + u.a)
        return State(h=a * s.h + (1 - a) * torch.tanh(x.n + u.n)), Gates(a=a)
