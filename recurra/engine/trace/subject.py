"""A cell to trace, with its names and formula at the time when its step was examined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recurra.cells import Cell, Formula, Gates, State
from recurra.engine.trace.signature import Outline


@dataclass(frozen=True)
class Subject:
    """A cell at one moment."""

    outline: Outline
    cell: Cell

    @classmethod
    def of(cls, cell: Cell) -> Subject:
        """The cell as it is now."""
        return cls(Outline(cell.gates, cell.recurrent, cell.states, cell.vectors, cell.formula), cell)

    @property
    def gates(self) -> tuple[str, ...]:
        """The names of the gates."""
        return self.outline.gates

    @property
    def recurrent(self) -> tuple[str, ...]:
        """The names of the gates with a recurrent block."""
        return self.outline.recurrent

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the states."""
        return self.outline.states

    @property
    def vectors(self) -> tuple[str, ...]:
        """The names of the per-unit vectors."""
        return self.outline.vectors

    @property
    def formula(self) -> Formula:
        """The properties of the step at that moment."""
        return self.outline.formula

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """The step of the cell, as it is now."""
        return self.cell.step(x, u, s, p)
