"""The errors recurra raises on purpose: each one line that says what, where and what to do."""

from collections.abc import Iterable
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
