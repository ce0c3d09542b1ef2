"""The seed of what is drawn: given, or another one each time that is told, so that it can be drawn again."""

from __future__ import annotations

import secrets
import sys

from recurra.errors import InputError

_LARGEST = 2**63 - 1


def check_seed(seed: int | None) -> None:
    """Refuses a seed that no generator takes.

    Raises:
        InputError: below 0 or above 2⁶³ - 1.
    """
    if seed is not None and not 0 <= seed <= _LARGEST:
        raise InputError(f"--seed {seed}: expected 0 to {_LARGEST}")


def fresh_seed(what: str) -> int:
    """A seed that nobody chose, told on stderr with what it gives again."""
    seed = secrets.randbelow(2**31)
    print(f"recurra: --seed {seed} gives {what} again", file=sys.stderr)
    return seed
