"""The cell of a network as an option: a cell to a name that another process can import, and back."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any, Protocol, TypeGuard

from recurra.cells import Cell, cell_name, find_cell
from recurra.errors import InputError


class CellOptions(Protocol):
    """The options of a network that describe its cell."""

    @property
    def cell(self) -> str:
        """A name of the table of cells, or module:Class."""
        ...

    @property
    def activation(self) -> str | None:
        """The cell's activation."""
        ...

    @property
    def cell_options(self) -> list[str] | None:
        """Further options of the cell, each as name=value."""
        ...


def is_cell(value: Any) -> TypeGuard[Cell | type[Cell]]:
    """Whether a value is a cell or a class of cells."""
    return isinstance(value, Cell) or (isinstance(value, type) and issubclass(value, Cell))


def name_of(cell: Cell | type[Cell], *, where: str) -> str:
    """Returns the name of a cell, as in `recurra train lm --cell NAME`.

    Args:
        cell: a class, or a cell whose options are the defaults of its class.
        where: the start of error messages.

    Raises:
        InputError: the class cannot be imported by a name, or the cell has options that are not the defaults.
    """
    kind = cell if isinstance(cell, type) else type(cell)
    name = cell_name(kind)
    if ":" in name:
        _check_importable(kind, name, where)
    if isinstance(cell, Cell):
        _check_default(cell, name, where)
    return name


def _check_importable(kind: type[Cell], name: str, where: str) -> None:
    if getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind and kind.__module__ != "__main__":
        return
    place = "a function" if "<locals>" in kind.__qualname__ else kind.__module__
    raise InputError(
        f"{where}: cell: {kind.__name__} is defined in {place}, and {name!r} cannot be imported to load the model "
        f"again. Put the class into a module, and use it or 'module:{kind.__name__}'"
    )


def _check_default(cell: Cell, name: str, where: str) -> None:
    changed = _changed_options(cell)
    if changed:
        activation = changed.pop("activation", None)
        arguments = [] if activation is None else [f"activation={activation!r}"]
        if changed:
            arguments.append(f"cell_options={[f'{option}={value}' for option, value in changed.items()]}")
        raise InputError(
            f"{where}: cell={cell!r} has options that are not the defaults, expected a name or a class: "
            f"use cell={name!r} with {' and '.join(arguments)}"
        )


def _changed_options(cell: Cell) -> dict[str, Any]:
    """Returns the options that differ from the defaults: fields of a dataclass, or attributes of another class."""
    values = {name: getattr(cell, name) for name in _fields(type(cell))} or vars(cell)
    defaults = _fields(type(cell)) or vars(type(cell)())
    return {name: value for name, value in values.items() if name not in defaults or value != defaults[name]}


def _fields(kind: type[Cell]) -> dict[str, Any]:
    """Returns the options of a cell with their defaults; `MISSING`, which equals no value, if there is none."""
    return {
        name: field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        for name, field in getattr(kind, "__dataclass_fields__", {}).items()
    }


def make_cell(options: CellOptions) -> Cell:
    """Returns the cell that the options describe.

    Raises:
        InputError: there is no such cell, or it does not have an option.
    """
    arguments: dict[str, Any] = {} if options.activation is None else {"activation": options.activation}
    for option in options.cell_options or ():
        name, equals, value = option.partition("=")
        if not equals:
            raise InputError(f"cell_options={option!r}: expected NAME=VALUE")
        arguments[name] = _number_or_text(value)
    return find_cell(options.cell, **arguments)


def _number_or_text(value: str) -> Any:
    """Returns the number that a text represents, or else the text."""
    try:
        return float(value)
    except ValueError:
        return value


def stored_cell(options: CellOptions, folder: Path, cell: Cell | None) -> Cell:
    """Returns the cell of a saved model: the argument, or if it is None, the cell that the options describe.

    Raises:
        InputError: the options name a user-defined cell and the argument is None.
    """
    if cell is None and ":" in options.cell:
        raise InputError(
            f"{folder}: was trained with a user-defined cell, {options.cell}. Loading runs no code by itself: pass "
            f"--cell {options.cell} (cell=… in Python)"
        )
    return cell or make_cell(options)
