"""The fields of options classes as parameters of a command, which receives only those that the user set."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Group, Parameter, Token

from recurra.errors import InputError
from recurra.tasks.fields import option_fields


def with_options(
    command: Callable[..., Any], groups: Mapping[str, type], defaults: Mapping[str, Any]
) -> Callable[..., Any]:
    """Adds a keyword to a command for each field of the options classes, with the field's docstring as help.

    Args:
        command: takes the fields as `**options`; fields that the user did not set are not passed.
        groups: options classes by the title of their panel in the help page.
        defaults: the defaults of fields whose default differs from that of their class.

    Returns:
        The command itself, with a new signature.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    for place, (title, kind) in enumerate(groups.items()):
        group = Group(f"{title.capitalize()} options", sort_key=place + 1)
        own += _parameters(kind, group, defaults)
    own = _unique(own)
    command.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in own}
    return command


def _unique(parameters: Sequence[inspect.Parameter]) -> list[inspect.Parameter]:
    """Returns the parameters without those whose name an earlier one has.

    Options of several groups may share a name, such as the beam of a translator and of a transcriber: the type that
    accepts "none" is kept, and the help of all.
    """
    kept: dict[str, inspect.Parameter] = {}
    for parameter in parameters:
        first = kept.setdefault(parameter.name, parameter)
        if first is not parameter:
            hints = [typing.get_args(one.annotation) for one in (first, parameter)]
            hint = next((hint for hint, _ in hints if type(None) in typing.get_args(hint)), hints[0][0])
            options, other = hints[0][1], hints[1][1]
            title = other.group[0].name.removesuffix(" options") if other.group else "Otherwise"
            merged = _cli_option(hint, options.group[0], f"{options.help} {title}: {other.help}")
            kept[parameter.name] = first.replace(annotation=Annotated[hint, merged])
    return list(kept.values())


def _parameters(kind: type, group: Group, defaults: Mapping[str, Any]) -> list[inspect.Parameter]:
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=defaults.get(name, field.default),
            annotation=Annotated[field.hint, _cli_option(field.hint, group, field.help or _help(field.owner)[name])],
        )
        for name, field in option_fields(kind).items()
    ]


@functools.cache
def _help(kind: type) -> dict[str, str]:
    """The docstring of each field of a class."""
    import docstring_parser

    return {item.arg_name: item.description or "" for item in docstring_parser.parse_from_object(kind).params}


def _cli_option(hint: Any, group: Group, help_text: str) -> Parameter:
    """How cyclopts parses a field of this type."""
    kinds = typing.get_args(hint) or (hint,)
    text = " ".join(help_text.split())
    if bool in kinds:
        return Parameter(group=group, help=text)
    if any(typing.get_origin(kind) is list for kind in kinds):
        return Parameter(group=group, help=text, consume_multiple=True, negative=())
    converter = whole(optional=type(None) in kinds) if int in kinds else None
    return Parameter(group=group, help=text, converter=converter, negative=())


def whole(*, optional: bool = False) -> Callable[[Any, Sequence[Token]], int | None]:
    """A converter to a whole number, and of "none" to None if `optional`; cyclopts alone would truncate 4.5 to 4."""

    def convert(hint: Any, tokens: Sequence[Token]) -> int | None:
        value = tokens[0].value
        if optional and value.lower() == "none":
            return None
        try:
            return int(value)
        except ValueError:
            raise InputError(f"{tokens[0].keyword} {value}: expected a whole number") from None

    return convert
