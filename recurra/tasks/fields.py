"""Options out of files and keywords: each field known by name, each value of its kind."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from recurra.errors import InputError, nearest
from recurra.tasks.cell_names import is_cell, name_of

T = TypeVar("T")


def read_fields(kind: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """The options class `kind` made from plain values, as JSON, TOML or keywords give them.

    Args:
        kind: a dataclass.
        values: by field name; fields left out keep their defaults, if they have some. One value will do for a list of
            one, and a class of cells for its name.
        where: begins the message of an error, such as a file name.

    Raises:
        InputError: a name that is no field, a field that is missing, a value of another kind, or one that the class
            refuses.
    """
    hints = typing.get_type_hints(kind)
    check_names(values, hints, where=where)
    missing = [name for name in _required(kind) if name not in values]
    if missing:
        raise InputError(f"{where}: {', '.join(missing)} missing")
    return kind(**{name: _value(name, value, hints[name], where) for name, value in values.items()})


def check_names(given: Iterable[str], known: Iterable[str], *, where: str) -> None:
    """Refuses a name that is not known, offering its neighbours.

    Raises:
        InputError: the first such name.
    """
    known = list(known)
    for name in given:
        if name not in known:
            raise InputError(f"{where}: there is no option {name!r}. {nearest(name, known)}")


def field_names(kind: type) -> list[str]:
    """The names of a dataclass's fields, in order."""
    return [field.name for field in dataclasses.fields(kind)]


def _required(kind: Any) -> list[str]:
    """The names of a dataclass's fields that have no default."""
    none = dataclasses.MISSING
    return [field.name for field in dataclasses.fields(kind) if field.default is none and field.default_factory is none]


def optional_names(kind: type) -> frozenset[str]:
    """The names of a dataclass's fields that may hold nothing."""
    hints = typing.get_type_hints(kind)
    return frozenset(name for name, hint in hints.items() if type(None) in typing.get_args(hint))


def _value(name: str, value: Any, hint: Any, where: str) -> Any:
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in kinds:
        return None
    for kind in kinds:
        if typing.get_origin(kind) is list:
            return _list(name, value, kind, kinds, where)
        if kind is Path and isinstance(value, str | Path):
            return Path(value)
        # A whole number will do for a real one; True is no number.
        if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if kind is str and is_cell(value):
            return name_of(value, where=where)
        if isinstance(kind, type) and type(value) is kind:
            return value
    raise InputError(f"{where}: {name}={value!r}, expected {_spelt(kinds)}")


def _list(name: str, value: Any, hint: Any, kinds: Iterable[Any], where: str) -> list[Any]:
    """A list whose items are all of their kind; a path or word alone is a list of one."""
    items = [value] if isinstance(value, str | Path) else value
    (kind,) = typing.get_args(hint)
    if isinstance(items, list | tuple):
        try:
            return [_value(name, item, kind, where) for item in items]
        except InputError:
            # The message below shows the whole list, as it was given.
            pass
    raise InputError(f"{where}: {name}={value!r}, expected {_spelt(kinds)}")


_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a word",
    bool: "true or false",
    Path: "a path",
    list[str]: "a list of words",
    list[Path]: "a list of paths",
    type(None): "nothing",
}


def _spelt(kinds: Iterable[Any]) -> str:
    return " or ".join(_NAMES.get(kind, str(kind)) for kind in kinds)
