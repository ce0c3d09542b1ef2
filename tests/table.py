"""The cells that every law is checked for: all of the package's table, and two that a user might write."""

from collections.abc import Callable

import torch

from recurra.cells import CELLS, GRU, LSTM, SLSTM, Cell, Elman, Gates, State, find_cell


class Leaky(Cell):
    """A user's own cell: a leak that is learned for each unit and step."""

    gates = ("n", "a")

    def step(self, x, u, s, p):
        a = torch.sigmoid(x.a + u.a)
        return State(h=a * s.h + (1 - a) * torch.tanh(x.n + u.n)), Gates(a=a)


class Odd(Cell):
    """Uses every part of the contract at once: a gate without recurrence, a second phase, a vector, a second state."""

    gates = ("a", "n", "v")
    recurrent = ("a", "n")
    states = ("h", "m")
    vectors = ("k",)

    def step(self, x, u, s, p):
        a = torch.sigmoid(x.a + u.a + p.k * s.m)
        n = torch.tanh(x.n + u("n", a * s.h))
        m = (1 - a) * s.m + a * x.v
        return State(h=n + torch.sin(m), m=m), Gates(a=a, n=n)


MADE: dict[str, Callable[[], Cell]] = {
    **{name: (lambda name=name: find_cell(name)) for name in CELLS},
    "elman-relu": lambda: Elman("relu"),
    "elman-gelu": lambda: Elman("gelu"),
    "lstm-softsign": lambda: LSTM("softsign"),
    "gru-relu": lambda: GRU("relu"),
    "slstm-exp": lambda: SLSTM("exp"),
    "user's leaky": Leaky,
    "user's odd": Odd,
}
