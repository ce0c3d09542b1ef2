"""Descriptions of the cells, as text for a terminal and as the page docs/cells.md.

Equations and remarks are taken from the docstring of the cell's class.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable

from recurra.cells.cell import Cell
from recurra.cells.parameters import count_parameters, parameter_formula
from recurra.cells.table import ALIASES, CELLS, cell_name, find_cell, option_names

NOTATION = (
    "x_i is gate i of W_ih x_t + b_ih, u_i gate i of W_hh h_{t-1} + b_hh, and u_n(v) gate n of W_hh v + b_hh. "
    "Products of letters are elementwise, σ(a) = 1 / (1 + exp(-a)), and every state is initially 0."
)
_SIZE = 512


@dataclasses.dataclass(frozen=True)
class Description:
    """The description of a cell."""

    name: str
    summary: str
    """The first line of the docstring."""
    body: str
    """The docstring without its first line and its arguments: equations, indented, and remarks."""
    facts: dict[str, str]
    """Gates, states, parameters, engines, paper."""
    options: dict[str, str]
    """The description of each option, by "name = value"."""


def summary(kind: type[Cell]) -> str:
    """A cell in one line, the first of its docstring."""
    return _own_docstring(kind).partition("\n")[0]


def _own_docstring(kind: type[Cell]) -> str:
    """The docstring of the class, without those of bases (inspect.getdoc) and signatures (dataclass)."""
    words = inspect.cleandoc(kind.__doc__ or "")
    return "" if words.startswith(f"{kind.__name__}(") else words


def describe(cell: Cell, engines: Iterable[str]) -> Description:
    """Describes a cell; `engines` are the names of the engines that run it."""
    kind = type(cell)
    text, _, arguments = _own_docstring(kind).partition("\nArgs:\n")
    facts = {
        "gates": " ".join(kind.gates),
        "recurrent": " ".join(kind.recurrent) or "none",
        "states": " ".join(kind.states),
        "vectors": " ".join(kind.vectors) or "none",
        "parameters": f"{parameter_formula(kind)} = {count_parameters(kind, _SIZE, _SIZE):,} for I = H = {_SIZE}",
        "engines": " ".join(engines),
        "paper": kind.paper or "none named",
    }
    return Description(
        cell_name(kind), summary(kind), text.partition("\n")[2].strip("\n"), facts, _options(cell, arguments)
    )


def _options(cell: Cell, arguments: str) -> dict[str, str]:
    """The fields of the cell as `name = value`, with their descriptions from `Args:` in the docstring."""
    descriptions = dict(re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", arguments, re.MULTILINE))
    options = {name: getattr(cell, name) for name in option_names(type(cell))}
    return {f"{name} = {value!r}": " ".join(descriptions.get(name, "").split()) for name, value in options.items()}


def as_text(description: Description, width: int = 80) -> str:
    """One cell for a terminal of so many columns."""
    blocks = [f"{description.name}: {description.summary}".removesuffix(": ")]
    blocks += [_refilled(block, width) for block in description.body.split("\n\n") if block]
    blocks.append("\n".join(_item(name, text, width) for name, text in description.facts.items()))
    if description.options:
        blocks.append("\n".join(f"{name}\n{_item('', text, width)}" for name, text in description.options.items()))
    return "\n\n".join([*blocks, textwrap.fill(NOTATION, width)])


def _refilled(block: str, width: int) -> str:
    return block if block.startswith("    ") else textwrap.fill(" ".join(block.split()), width)


def _item(name: str, text: str, width: int) -> str:
    return textwrap.fill(text, width, initial_indent=f"{name:12}", subsequent_indent=" " * 12)


def page(engines: Callable[[Cell], Iterable[str]]) -> str:
    """The page docs/cells.md: a table of all cells, then each with its equations.

    Args:
        engines: returns the names of the engines that run a cell; an argument, because cells do not import engines.
    """
    described = [describe(cell, engines(cell)) for cell in map(find_cell, CELLS)]
    heads = ["cell", "gates", "recurrent", "states", "parameters", "options", "engines", "from"]
    lines = [_HEAD, f"| {' | '.join(heads)} |", "|" + len(heads) * "---|"]
    for one in described:
        columns = [one.facts[name] for name in ("gates", "recurrent", "states")]
        columns += [one.facts["parameters"].partition(" = ")[0], ", ".join(_code(name) for name in one.options)]
        columns += [one.facts["engines"], one.facts["paper"].partition(",")[0]]
        lines.append(f"| [{one.name}](#{one.name}) | {' | '.join(columns)} |")
    return "\n".join([*lines, *map(_section, described)]) + "\n"


def aliases() -> str:
    """The aliases of cells, with the cell and the options that each implies."""
    meanings = [
        " ".join([f"{name} = {cell}", *(f"with {option}={value}" for option, value in options.items())])
        for name, (cell, options) in ALIASES.items()
    ]
    return ", ".join(meanings)


def _section(one: Description) -> str:
    options = [f"- option {_code(name)}: {text}" for name, text in one.options.items()]
    facts = [f"- {name}: {text}" for name, text in one.facts.items()]
    return "\n".join([f"\n## {one.name}\n", one.summary, "", one.body, "", *facts, *options])


def _code(name: str) -> str:
    return f"`{name}`"


_HEAD = f"""# Cells

<!-- Generated: `recurra cells --markdown > docs/cells.md`. Change the docstrings in recurra/cells instead. -->

The equations of every cell of `recurra cells`.
{textwrap.fill(NOTATION, 120)}

Gates are listed in the order of their row blocks in `weight_ih_l0`, the recurrent ones in that of `weight_hh_l0`. If
torch has the cell, the order is torch's, and state dicts load in both directions. Parameters are those of one layer in
one direction with both biases, for I features and H units; vectors are per-unit parameters `vector_NAME_l0`. Options
are fields of the cell: `recurra.find_cell("slstm", forget="exp")`. Engine `unroll` is the reference and runs every
cell; `native` is torch.nn's own kernel. `recurra cells NAME` prints one of these sections, and [Adding a
cell](adding_a_cell.md) shows how to write another. Names are case-insensitive, and `-` is equivalent to `_`.
{textwrap.fill(f"Aliases: {aliases()}.", 120)}
"""
