"""The errors recurra raises on purpose: each one line that says what, where and what to do.

Messages name options as Python does, `min_count=0`. The command line and recipes rename them as their users write them,
by `rename_options`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class RecurraError(Exception):
    """Something failed while running: a full disk, a loss that is not finite. The command line exits with 1."""


class InputError(RecurraError, ValueError):
    """What the user gave cannot be used: a file, an option, a shape. The command line exits with 2."""


class InputShapeError(InputError, RuntimeError):
    """A tensor, a state or a size does not fit. Also a RuntimeError, which torch.nn raises for the same mistake."""


class InputTypeError(InputError, TypeError):
    """An argument is of the wrong type. Also a TypeError, which torch.nn raises for the same mistake."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence that offers the known names closest to a misspelt one, or all of them when none is close."""
    known = sorted(known)
    close = get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    return f"Known: {', '.join(known)}."


@contextmanager
def options_named(**options: str) -> Iterator[None]:
    """Errors about a layer's arguments, raised within the block, name the options that the values came from.

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


# A value as messages write it: a quoted string, a list, or a word up to the punctuation after it.
_VALUE = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^\s,;:()\[\]]*[^\s,;:()\[\].]"""
_QUOTED = r"""(?<![\w=])(?:'[^']*'|"[^"]*")(?!\w)"""


def rename_options(
    message: str, names: Iterable[str], render: Callable[[str, str | None], str], *, verbatim: Collection[str] = ()
) -> str:
    """A message with its options named in another way.

    An option is `name=value`, or a name alone where it has an underscore and so is no word of English. What stands in
    quotes or is part of a path stays.

    Args:
        message: the message of an error.
        names: the options, as Python names them.
        render: from a name and its value (None where it stands alone) to what replaces them.
        verbatim: further texts that stay, such as names of files.
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
