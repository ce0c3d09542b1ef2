"""Options classes as parameters of a command, so that a command receives just those that were given."""

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
    """The command with a keyword for each field of the options classes, help from the fields' docstrings.

    Args:
        command: takes them as `**options`; fields that were not given are not passed.
        groups: options classes by the title of their panel of the help.
        defaults: of fields that have another default here than in their class.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    for place, (title, kind) in enumerate(groups.items()):
        group = Group(f"{title.capitalize()} options", sort_key=place + 1)
        own += _parameters(kind, group, defaults)
    command.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in own}
    return command


def _parameters(kind: type, group: Group, defaults: Mapping[str, Any]) -> list[inspect.Parameter]:
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=defaults.get(name, field.default),
            annotation=Annotated[field.hint, _told(field.hint, group, field.help or _help_of(field.owner)[name])],
        )
        for name, field in option_fields(kind).items()
    ]


@functools.cache
def _help_of(kind: type) -> dict[str, str]:
    """The docstring of each field of a class."""
    import docstring_parser

    return {item.arg_name: item.description or "" for item in docstring_parser.parse_from_object(kind).params}


def _told(hint: Any, group: Group, help_text: str) -> Parameter:
    kinds = typing.get_args(hint) or (hint,)
    text = " ".join(help_text.split())
    if bool in kinds:
        return Parameter(group=group, help=text)
    if any(typing.get_origin(kind) is list for kind in kinds):
        return Parameter(group=group, help=text, consume_multiple=True, negative=())
    converter = whole(optional=type(None) in kinds) if int in kinds else None
    return Parameter(group=group, help=text, converter=converter, negative=())


def whole(*, optional: bool = False) -> Callable[[Any, Sequence[Token]], int | None]:
    """A converter to a whole number, and "none" to nothing; cyclopts by itself would cut 4.5 down to 4."""

    def convert(hint: Any, tokens: Sequence[Token]) -> int | None:
        value = tokens[0].value
        if optional and value.lower() == "none":
            return None
        try:
            return int(value)
        except ValueError:
            raise InputError(f"{tokens[0].keyword} {value}: expected a whole number") from None

    return convert
