"""A cell as options hold it: by a name that another process can import, and back."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any, Protocol, TypeGuard

from recurra.cells import Cell, cell_name, find_cell
from recurra.errors import InputError


class CellOptions(Protocol):
    """Options of a network that name its cell."""

    @property
    def cell(self) -> str:
        """A name of the table, or module:Class."""
        ...

    @property
    def activation(self) -> str | None:
        """The cell's activation."""
        ...

    @property
    def cell_options(self) -> list[str] | None:
        """Its further options, each as name=value."""
        ...


def is_cell(value: Any) -> TypeGuard[Cell | type[Cell]]:
    """Whether a value is a cell or a class of cells."""
    return isinstance(value, Cell) or (isinstance(value, type) and issubclass(value, Cell))


def name_of(cell: Cell | type[Cell], *, where: str) -> str:
    """The name that finds the cell again, as in `recurra train lm --cell NAME`.

    Args:
        cell: a class, or a cell with the options of its class.
        where: begins the message of an error.

    Raises:
        InputError: a class that no name imports, or a cell with options of its own.
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
        f"again. Put the class into a module of its own, and give it or 'module:{kind.__name__}'"
    )


def _check_default(cell: Cell, name: str, where: str) -> None:
    changed = _changed(cell)
    if changed:
        activation = changed.pop("activation", None)
        ways = [] if activation is None else [f"activation={activation!r}"]
        ways += [f"cell_options={[f'{option}={value}' for option, value in changed.items()]}"] if changed else []
        raise InputError(
            f"{where}: cell={cell!r} has options of its own, expected a name or a class: "
            f"give cell={name!r} with {' and '.join(ways)}"
        )


def _changed(cell: Cell) -> dict[str, Any]:
    """What a cell has otherwise than its class: options of a dataclass, or attributes of a plain class."""
    given = {name: getattr(cell, name) for name in _fields(type(cell))} or vars(cell)
    defaults = _fields(type(cell)) or vars(type(cell)())
    return {name: value for name, value in given.items() if name not in defaults or value != defaults[name]}


def _fields(kind: type[Cell]) -> dict[str, Any]:
    """The options of a cell and their defaults; `MISSING`, which equals nothing, where there is none."""
    return {
        name: field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        for name, field in getattr(kind, "__dataclass_fields__", {}).items()
    }


def make_cell(options: CellOptions) -> Cell:
    """The cell that the options name.

    Raises:
        InputError: no such cell, or one without the option.
    """
    chosen: dict[str, Any] = {} if options.activation is None else {"activation": options.activation}
    for option in options.cell_options or ():
        name, equals, value = option.partition("=")
        if not equals:
            raise InputError(f"cell_options={option!r}: expected NAME=VALUE")
        chosen[name] = _number(value)
    return find_cell(options.cell, **chosen)


def _number(value: str) -> Any:
    """A number where the text is one."""
    try:
        return float(value)
    except ValueError:
        return value


def stored_cell(options: CellOptions, folder: Path, given: Cell | None) -> Cell:
    """The cell of a model in a folder: the one given, or the one that its options name.

    Raises:
        InputError: the options name somebody's own cell and none is given.
    """
    if given is None and ":" in options.cell:
        raise InputError(
            f"{folder}: was trained with a cell of somebody's own, {options.cell}. Loading runs no code by itself: "
            f"pass --cell {options.cell} (cell=… in Python)"
        )
    return given or make_cell(options)
