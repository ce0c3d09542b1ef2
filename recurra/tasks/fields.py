"""Options out of files and keywords: each field known by name, each value of its kind.

A field of an options class may itself be an options class, such as `RecurrentOptions` in a task's network options. Its
fields count as those of the class that holds it: options are flat wherever a user meets them.
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
    """`dataclasses.MISSING` where there is none."""
    owner: type
    """The class whose docstrings describe it."""
    group: str | None = None
    """The field of the outer class that holds `owner`; None for the outer class itself."""
    help: str | None = None
    """The text that replaces the owner's docstring: of the outer field's metadata, under "help" and the name."""


def option_fields(kind: type) -> dict[str, OptionField]:
    """The options of a class by name, those of classes that it holds in their place."""
    hints, found = typing.get_type_hints(kind), dict[str, OptionField]()
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            default, texts = _default(kind, field.name), field.metadata.get("help", {})
            for name, inner in option_fields(hint).items():
                text = texts.get(name, inner.help)
                found[name] = inner._replace(default=getattr(default, name), group=field.name, help=text)
        else:
            found[field.name] = OptionField(hint, _default(kind, field.name), kind)
    return found


def _default(kind: type, name: str) -> Any:
    """The default of a field; `dataclasses.MISSING` where it has none."""
    field: dataclasses.Field[Any] = kind.__dataclass_fields__[name]  # type: ignore[attr-defined]
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def to_plain(options: Any) -> dict[str, Any]:
    """The values of options by name, flat, as `read_fields` takes them."""
    fields = option_fields(type(options))
    return {
        name: getattr(options if field.group is None else getattr(options, field.group), name)
        for name, field in fields.items()
    }


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
    """The names of the options of a class, in order."""
    return list(option_fields(kind))


def optional_names(kind: type) -> frozenset[str]:
    """The names of the options that may hold nothing."""
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
