"""A layer as a stream reads it: its cell, and its parameters at each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.cells import Cell, State, Weights
from recurra.engine.request import Masks, Request


@dataclass(frozen=True)
class LayerSource:
    """One layer of a stack, in evaluation: no dropout, and zoneout at its expectation."""

    cell: Cell
    inputs: int
    """I, features of x."""
    emitted: int
    """Features of y."""
    states: Mapping[str, int]
    """The width of each state."""
    weights: Callable[[], Weights]
    """Returns the present parameters."""
    held: Mapping[str, Tensor | None]
    """The parameters of the module by name, in which a replaced parameter is noticed."""
    zoneout: tuple[Tensor | None, ...] = ()
    """For each state its rate, one number, or None; empty without zoneout."""
    connection: str = ""
    """"residual", "highway", or "" for none."""
    highway: Callable[[], tuple[Tensor, Tensor]] | None = None
    """Returns W_t (P, P) and b_t (P,) of a highway connection."""
    initial: Callable[[int], State] | None = None
    """Returns the initial state of a number of rows; None for zeros."""

    def request(self, x: Tensor, state: State) -> Request:
        """The request of some steps, x (T, B, I)."""
        return Request(self.cell, x, state, self.weights(), masks=Masks(None, self.zoneout))

    def zeros(self, rows: int, like: Tensor) -> State:
        """A state of zeros."""
        return State(**{name: like.new_zeros(rows, width) for name, width in self.states.items()})

    def initial_state(self, rows: int, like: Tensor) -> State:
        """The state with which a row begins, in the dtype and on the device of `like`."""
        with torch.no_grad():
            return self.zeros(rows, like) if self.initial is None else self.initial(rows)
