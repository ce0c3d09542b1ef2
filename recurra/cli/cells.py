"""`recurra cells`: the table of recurrent cells."""

from __future__ import annotations

from recurra.cells import CELLS


def cells() -> None:
    """List the recurrent cells: their gates, states and where they come from.

    A cell of your own is --cell module:Class; see docs/cells.md.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("cell", "gates", "states", "formula"):
        table.add_column(heading)
    for name, kind in CELLS.items():
        table.add_row(name, " ".join(kind.gates), " ".join(kind.states), (kind.__doc__ or "").splitlines()[0])
        table.add_row("", "", "", f"[dim]{kind.paper}[/dim]")
    Console().print(table)
