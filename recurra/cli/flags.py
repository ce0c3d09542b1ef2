"""Options in the messages of errors, named as a command has them: `min_count=0` becomes `--min-count 0`."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Sequence

from cyclopts import App, Argument

from recurra.errors import rename_options


def with_flags(message: str, app: App, arguments: Sequence[str]) -> str:
    """A message of the library with the names of options as the command that was called has them.

    Args:
        message: in which options are named as in Python.
        app: all commands.
        arguments: of the command line; those that are names of files stay as they are wherever the message has them.
    """
    flags = _flags(app, arguments)

    def render(name: str, value: str | None) -> str:
        positive, negative = flags[name]
        if value is None or value == "True":
            return positive
        return negative if value == "False" and negative else f"{positive} {_shell(value)}"

    return rename_options(message, flags, render, verbatim=[text for text in arguments if not text.startswith("-")])


def options_of(app: App, arguments: Sequence[str]) -> Sequence[Argument]:
    """The arguments and options of the command that is called; none where no command is."""
    _, apps, _ = app.parse_commands(list(arguments))
    command = apps[-1].default_command
    # Where no command is called, this is the parser's own, which prints the help.
    ours = command is not None and not command.__module__.startswith("cyclopts.")
    return apps[-1].assemble_argument_collection() if ours else []


def _flags(app: App, arguments: Sequence[str]) -> dict[str, tuple[str, str | None]]:
    """The flag of each option of the command that is called, and the one that turns it off, by Python's name."""
    flags = {}
    for option in options_of(app, arguments):
        names = [name for name in option.names if name.startswith("--")]
        if names:
            negative = next((name for name in names if name.startswith("--no-")), None)
            flags[option.field_info.name] = (names[0], negative)
    return flags


def _shell(value: str) -> str:
    """A value as it is typed: without Python's quotes, brackets and None."""
    if value == "None":
        return "none"
    try:
        plain = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    if isinstance(plain, list):
        return " ".join(shlex.quote(str(item)) for item in plain)
    return shlex.quote(plain) if isinstance(plain, str) else value
