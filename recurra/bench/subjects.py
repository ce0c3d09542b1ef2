"""The cells and the sizes that are measured."""

from __future__ import annotations

from typing import NamedTuple

from recurra.bench.leaky import Leaky
from recurra.cells import Cell, Elman, find_cell
from recurra.errors import InputError

CELLS = ("lstm", "gru", "rnn-tanh", "rnn-relu", "peephole_lstm", "leaky")
"""The cells of the default table: torch.nn's four, one from the literature, and a user-defined one."""

_ALSO: dict[str, type[Cell]] = {"rnn": Elman, "leaky": Leaky}


class Shape(NamedTuple):
    """The sizes of one layer and its batch."""

    T: int
    """Steps."""
    B: int
    """Rows of the batch."""
    I: int
    """Features of x."""
    H: int
    """Units."""

    def __str__(self) -> str:
        return "x".join(map(str, self))


_SIZES = ((64, 32, 128), (64, 32, 256), (64, 32, 512), (64, 32, 1024), (35, 20, 200), (100, 8, 128))
SHAPES = tuple(Shape(T, B, H, H) for T, B, H in _SIZES)
"""The sizes of the default table."""


def find_subject(name: str) -> Cell:
    """The cell with a name.

    Args:
        name: a name of `recurra cells`, "rnn" (torch's for elman), "leaky" (`recurra.bench.leaky`) or "module:Class";
            with a suffix such as "-relu", with that activation.

    Raises:
        InputError: no such cell, or it has no such activation.
    """
    kind, dash, activation = name.partition("-")
    return find_cell(_ALSO.get(kind, kind), **({"activation": activation} if dash else {}))


def parse_shape(text: str) -> Shape:
    """The sizes in a text such as "64x32x128x128", T x B x I x H.

    Raises:
        InputError: not four whole numbers, each 1 or more.
    """
    parts = text.split("x")
    if len(parts) != 4 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise InputError(f"shape {text!r}: expected steps x rows x features x units, such as 64x32x128x128")
    return Shape(*map(int, parts))


def forward_flops(cell: Cell, shape: Shape) -> int:
    """Multiplications and additions of the matrix products of a forward pass, 2 T B H (G I + R H).

    A backward pass has twice as many: the derivative of a product has a product for each factor.
    """
    T, B, I, H = shape
    return 2 * T * B * H * (len(cell.gates) * I + len(cell.recurrent) * H)
