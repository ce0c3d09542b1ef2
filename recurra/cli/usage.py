"""Errors in the arguments of a command line, in one line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, CoercionError, CycloptsError, MissingArgumentError, UnusedCliTokensError

from recurra.cli.flags import options_of
from recurra.errors import InputError


def usage_message(error: CycloptsError) -> str:
    """The message for an error of the parser, with the command that prints help."""
    command = " ".join(["recurra", *(error.command_chain or ())])
    text = " ".join(str(error).split())
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        text = f"{error.unused_tokens[0]!r}: {command} does not take another argument."
    elif isinstance(error, MissingArgumentError) and error.argument is not None:
        name = error.argument.name
        typed = any(token.partition("=")[0] == name for token in error.root_input_tokens or ())
        text = f"{name}: its value is missing." if typed else f"{command}: {name} is missing."
    elif isinstance(error, CoercionError) and error.token is not None and error.token.keyword is not None:
        # The converters of recurra.cli.options name the option in their message.
        keyword = error.token.keyword
        return text.removeprefix(f"Invalid value for {keyword}: ") if f": {keyword} " in text else text
    return f"{text} See {command} --help"


def check_paths(app: App, arguments: Sequence[str]) -> None:
    """Refuses file names that are empty, or start with a ~ that the shell did not expand.

    An empty path would mean the current folder, and `--out=~/model` a folder named ~.

    Raises:
        InputError: the first such argument.
    """
    for place, argument in enumerate(arguments):
        flag, separator, value = argument.partition("=")
        if not (argument.startswith("--") and separator):
            before = arguments[place - 1] if place else ""
            flag, value = (before if before.startswith("--") else ""), argument
        if not (value in ("", "~") or value.startswith("~/")) or not _takes_path(app, arguments, flag):
            continue
        if not value:
            raise InputError(
                f"{flag + ' ' if flag else ''}'': an empty argument, expected the name of a file or folder"
            )
        if not Path("~").exists():
            raise InputError(f"{argument}: the shell did not expand ~ here. Write {flag} $HOME{value[1:]}")


def _takes_path(app: App, arguments: Sequence[str], flag: str) -> bool:
    """Whether an option takes paths; positional arguments are names of files, cells or studies."""
    if not flag:
        return True
    return any(flag in option.names and "Path" in str(option.hint) for option in options_of(app, arguments))
