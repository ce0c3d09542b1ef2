"""The number of parameters of a cell, as an integer and as a formula."""

from __future__ import annotations

from recurra.cells.cell import Cell
from recurra.cells.table import find_cell


def count_parameters(cell: str | Cell | type[Cell], input_size: int, hidden_size: int, *, bias: bool = True) -> int:
    """The number of parameters of one layer of a cell in one direction.

    With G gates, R of them recurrent, and V vectors: G·H·I + R·H·H + (G + R)·H with biases + V·H.

    Args:
        cell: a name of the table, "module:Class", a class or a cell.
        input_size: features of x, I.
        hidden_size: units, H.
        bias: whether b_ih and b_hh are there.
    """
    G, R, V = _counts(find_cell(cell))
    return hidden_size * (G * input_size + R * hidden_size + (G + R) * bias + V)


def parameter_formula(cell: Cell | type[Cell]) -> str:
    """The number of parameters with biases as a formula of I and H, such as "4HI + 4H² + 8H"."""
    G, R, V = _counts(cell)
    terms = [(G, "HI"), (R, "H²"), (G + R + V, "H")]
    return " + ".join(f"{count if count > 1 else ''}{term}" for count, term in terms if count)


def _counts(cell: Cell | type[Cell]) -> tuple[int, int, int]:
    return len(cell.gates), len(cell.recurrent), len(cell.vectors)
