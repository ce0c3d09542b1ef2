"""The seed of random results: the user's, or a new one that is printed, so that the result can be reproduced."""

from __future__ import annotations

import secrets
import sys

from recurra.errors import InputError

_LARGEST = 2**63 - 1


def check_seed(seed: int | None) -> None:
    """Refuses a seed that PyTorch's generators do not accept.

    Raises:
        InputError: the seed is below 0 or above 2⁶³ - 1.
    """
    if seed is not None and not 0 <= seed <= _LARGEST:
        raise InputError(f"--seed {seed}: expected 0 to {_LARGEST}")


def fresh_seed(what: str) -> int:
    """Draws a seed and prints it to stderr, with the name of the result that it reproduces."""
    seed = secrets.randbelow(2**31)
    print(f"recurra: --seed {seed} reproduces {what}", file=sys.stderr)
    return seed
