"""Options from plain values (JSON, TOML, keywords) and back, with checks of names and types.

A field of an options class may itself be an options class, such as `RecurrentOptions` in a task's network options. Its
fields count as fields of the outer class: for users, options are flat.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from recurra.errors import InputError, nearest
from recurra.tasks.cell_names import is_cell, name_of

T = TypeVar("T")


def read_fields(kind: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """Returns an instance of the options class `kind` from plain values, as they come from JSON, TOML or keywords.

    Args:
        kind: a dataclass.
        values: values by field name; missing fields keep their defaults. A single path or string may replace a list
            with one item, and a cell or a class of cells may replace its name.
        where: the start of error messages, such as a file name.

    Raises:
        InputError: a name is not a field, a field without default is missing, a value has a wrong type, or the class
            does not accept it.
    """
    fields = option_fields(kind)
    check_names(values, fields, where=where)
    missing = [name for name, field in fields.items() if field.default is dataclasses.MISSING and name not in values]
    if missing:
        raise InputError(f"{where}: {', '.join(missing)} missing")
    own, nested = dict[str, Any](), dict[str, dict[str, Any]]()
    for name, value in values.items():
        field = fields[name]
        target = own if field.group is None else nested.setdefault(field.group, {})
        target[name] = _value(name, value, field.hint, where)
    for group, changes in nested.items():
        own[group] = dataclasses.replace(_default(kind, group), **changes)
    return kind(**own)


class OptionField(NamedTuple):
    """One option."""

    hint: Any
    default: Any
    """`dataclasses.MISSING` if there is none."""
    owner: type
    """The class that defines the field; its docstrings are the help."""
    group: str | None = None
    """The field of the outer class whose type is `owner`; None if the outer class itself is the owner."""
    help: str | None = None
    """Help that replaces the owner's docstring: the entry metadata["help"][name] of the outer field."""


def option_fields(kind: type) -> dict[str, OptionField]:
    """Returns the options of a class by name; a field that is an options class is replaced by its own options."""
    hints, options = typing.get_type_hints(kind), dict[str, OptionField]()
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            default, texts = _default(kind, field.name), field.metadata.get("help", {})
            for name, inner in option_fields(hint).items():
                text = texts.get(name, inner.help)
                options[name] = inner._replace(default=getattr(default, name), group=field.name, help=text)
        else:
            options[field.name] = OptionField(hint, _default(kind, field.name), kind)
    return options


def _default(kind: type, name: str) -> Any:
    """Returns the default of a field; `dataclasses.MISSING` if it has none."""
    field: dataclasses.Field[Any] = kind.__dataclass_fields__[name]  # type: ignore[attr-defined]
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def to_plain(options: Any) -> dict[str, Any]:
    """Returns the values of options by name, flat, as `read_fields` expects them."""
    fields = option_fields(type(options))
    return {
        name: getattr(options if field.group is None else getattr(options, field.group), name)
        for name, field in fields.items()
    }


def check_names(names: Iterable[str], known: Iterable[str], *, where: str) -> None:
    """Checks that all names are known.

    Raises:
        InputError: a name is unknown; the message suggests the nearest known ones.
    """
    known = list(known)
    for name in names:
        if name not in known:
            raise InputError(f"{where}: there is no option {name!r}. {nearest(name, known)}")


def field_names(kind: type) -> list[str]:
    """Returns the names of the options of a class, in order."""
    return list(option_fields(kind))


def optional_names(kind: type) -> frozenset[str]:
    """Returns the names of the options whose value may be None."""
    return frozenset(name for name, field in option_fields(kind).items() if type(None) in typing.get_args(field.hint))


def _value(name: str, value: Any, hint: Any, where: str) -> Any:
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in kinds:
        return None
    for kind in kinds:
        if typing.get_origin(kind) is list:
            return _list(name, value, kind, kinds, where)
        if kind is Path and isinstance(value, str | Path):
            return Path(value)
        # An int is accepted for a float; bool, although a subclass of int, is not.
        if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if kind is str and is_cell(value):
            return name_of(value, where=where)
        if isinstance(kind, type) and type(value) is kind:
            return value
    raise InputError(f"{where}: {name}={value!r}, expected {_names_of(kinds)}")


def _list(name: str, value: Any, hint: Any, kinds: Iterable[Any], where: str) -> list[Any]:
    """Returns a list with items of the right type; a single path or string is a list with one item."""
    items = [value] if isinstance(value, str | Path) else value
    (kind,) = typing.get_args(hint)
    if isinstance(items, list | tuple):
        try:
            return [_value(name, item, kind, where) for item in items]
        except InputError:
            # The message below shows the whole list in place of one item.
            pass
    raise InputError(f"{where}: {name}={value!r}, expected {_names_of(kinds)}")


_TYPE_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a word",
    bool: "true or false",
    Path: "a path",
    list[str]: "a list of words",
    list[int]: "a list of whole numbers",
    list[Path]: "a list of paths",
    type(None): "nothing",
}


def _names_of(kinds: Iterable[Any]) -> str:
    return " or ".join(_TYPE_NAMES.get(kind, str(kind)) for kind in kinds)
