"""`recurra cells`: the table of recurrent cells, and the documentation of each."""

from __future__ import annotations

import textwrap
from typing import Annotated

from cyclopts import Parameter


def cells(name: str | None = None, /, *, markdown: Annotated[bool, Parameter(negative=())] = False) -> None:
    """List the recurrent cells, or describe one.

    Examples:
        recurra cells

        recurra cells slstm

        recurra cells my_module:MyCell

    Parameters
    ----------
    name
        The cell to describe: equations, gates, states, parameters, options and paper.
    markdown
        Print the page docs/cells.md.
    """
    from recurra.cells import CELLS, find_cell
    from recurra.cells.document import aliases, as_text, describe, page, summary
    from recurra.engine.run import engines_for

    if markdown:
        print(page(engines_for), end="")
    elif name is not None:
        cell = find_cell(name)
        print(as_text(describe(cell, engines_for(cell))))
    else:
        rows = [("cell", "gates", "states", "")]
        rows += [(name, " ".join(kind.gates), " ".join(kind.states), summary(kind)) for name, kind in CELLS.items()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
        print("\n" + textwrap.fill(f"Further names: {aliases()}", 80))
        print("Equations and options: recurra cells NAME. User-defined: --cell module:Class")
