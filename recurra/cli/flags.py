"""Options in error messages, named as on the command line: `min_count=0` becomes `--min-count 0`."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Sequence

from cyclopts import App, Argument

from recurra.errors import rename_options


def with_flags(message: str, app: App, arguments: Sequence[str]) -> str:
    """Returns a message of the library with options named as flags of the called command.

    Args:
        message: the message, in which options are named as in Python.
        app: the application with all commands.
        arguments: the arguments of the command line; file names among them are not changed in the message.
    """
    flags = _flags(app, arguments)

    def render(name: str, value: str | None) -> str:
        positive, negative = flags[name]
        if value is None or value == "True":
            return positive
        return negative if value == "False" and negative else f"{positive} {_shell(value)}"

    return rename_options(message, flags, render, verbatim=[text for text in arguments if not text.startswith("-")])


def options_of(app: App, arguments: Sequence[str]) -> Sequence[Argument]:
    """The arguments and options of the called command; empty if no command is called."""
    _, apps, _ = app.parse_commands(list(arguments))
    command = apps[-1].default_command
    # Without a command, cyclopts provides a default command, which prints the help.
    ours = command is not None and not command.__module__.startswith("cyclopts.")
    return apps[-1].assemble_argument_collection() if ours else []


def _flags(app: App, arguments: Sequence[str]) -> dict[str, tuple[str, str | None]]:
    """The flag of each option of the called command, and the flag that turns it off, by the name in Python."""
    flags = {}
    for option in options_of(app, arguments):
        names = [name for name in option.names if name.startswith("--")]
        if names:
            negative = next((name for name in names if name.startswith("--no-")), None)
            flags[option.field_info.name] = (names[0], negative)
    return flags


def _shell(value: str) -> str:
    """A value as it is typed in a shell, without Python's quotes, brackets and None."""
    if value == "None":
        return "none"
    try:
        plain = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    if isinstance(plain, list):
        return " ".join(shlex.quote(str(item)) for item in plain)
    return shlex.quote(plain) if isinstance(plain, str) else value
