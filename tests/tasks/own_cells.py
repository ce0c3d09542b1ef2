"""User-defined cells in a module that can be imported."""

from dataclasses import dataclass

import torch

from recurra.cells import Cell, Gates, State


@dataclass(frozen=True)
class Leaky(Cell):
    """h_t = a h_{t-1} + (1 - a) tanh(rate · (W x + W h))."""

    rate: float = 1.0

    gates = ("h", "a")

    def step(self, x, u, s, p):
        a = torch.sigmoid(x.a + u.a)
        return State(h=a * s.h + (1 - a) * torch.tanh(self.rate * (x.h + u.h))), Gates(a=a)


class Plain(Cell):
    """h_t = tanh(W x + W h)."""

    gates = ("h",)

    def step(self, x, u, s, p):
        return State(h=torch.tanh(x.h + u.h)), Gates()
