"""A cell as options hold it: by a name that another process can import."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any, TypeGuard

from recurra.cells import Cell, cell_name
from recurra.errors import InputError


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
