"""The errors that recurra raises: one line with the problem, its place and the next step.

Messages name options as in Python, `min_count=0`. The command line and recipes replace them by flags and keys, with
`rename_options`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class RecurraError(Exception):
    """A failure during the work, such as a full disk or a loss that is not finite. The command line exits with 1."""


class InputError(RecurraError, ValueError):
    """Input that cannot be used: a file, an option, a shape. The command line exits with 2."""


class InputShapeError(InputError, RuntimeError):
    """A tensor, a state or a size does not fit. Also a RuntimeError, which torch.nn raises for the same mistake."""


class InputTypeError(InputError, TypeError):
    """An argument is of the wrong type. Also a TypeError, which torch.nn raises for the same mistake."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence with the known names closest to an unknown one, or with all of them if none is close."""
    known = sorted(known)
    close = get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    return f"Known: {', '.join(known)}."


@contextmanager
def options_named(**options: str) -> Iterator[None]:
    """Context in whose errors a layer's arguments are named by the options that set them.

    Args:
        **options: the names of options by the arguments of the layer, such as p="dropout".
    """

    def option(name: str, value: str | None) -> str:
        return options[name] if value is None else f"{options[name]}={value}"

    try:
        yield
    except InputError as error:
        error.args = (rename_options(str(error), options, option),)
        raise


# A value in a message: a quoted string, a list, or a word up to the punctuation after it.
_VALUE = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^\s,;:()\[\]]*[^\s,;:()\[\].]"""
_QUOTED = r"""(?<![\w=])(?:'[^']*'|"[^"]*")(?!\w)"""


def rename_options(
    message: str, names: Iterable[str], render: Callable[[str, str | None], str], *, verbatim: Collection[str] = ()
) -> str:
    """Renames the options in a message.

    An option is recognised as `name=value`, or by its name alone if that contains an underscore and therefore is not an
    English word. Quoted text and parts of paths are not changed.

    Args:
        message: the message of an error.
        names: the options, as they are named in Python.
        render: takes a name and its value, None for a name alone; returns the replacement.
        verbatim: further texts that are not changed, such as file names.
    """
    known = sorted(names, key=len, reverse=True)
    if not known:
        return message
    kept = "|".join([*(re.escape(text) for text in sorted(verbatim, key=len, reverse=True) if text), _QUOTED])
    option = rf"(?<![\w./\\=-])(?P<name>{'|'.join(map(re.escape, known))})(?:=(?P<value>{_VALUE})|(?![\w./\\=-]| = ))"

    def renamed(match: re.Match[str]) -> str:
        name, value = match["name"], match["value"]
        if name is None or (value is None and "_" not in name):
            return match[0]
        return render(name, value)

    return re.sub(f"{kept}|{option}", renamed, message)
