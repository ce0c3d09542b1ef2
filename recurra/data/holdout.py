"""Which part of the data is held out to validate with, in exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

from recurra.errors import InputError


def check_share(share: float) -> None:
    """Raises `InputError` where a share to hold out is not between 0 and 1."""
    if not 0 < share < 1:
        raise InputError(f"valid_share={share}: expected more than 0 and less than 1, such as 0.1")


def held_out(total: int, share: float) -> int:
    """How many of `total` items a share holds out, rounded up.

    The share is read as the decimal number it is written as: 0.07 of 100 items are 7, although the binary number
    nearest to 0.07 is a little above it.
    """
    return math.ceil(total * Fraction(str(share)))


def split_last(total: int, share: float, *, where: str, items: str) -> int:
    """How many of `total` items come before the held-out ones, which are the last; at least one on either side.

    Args:
        total: how many items there are.
        share: of them to hold out.
        where: begins the message of an error, such as a file name.
        items: what the items are called, in the plural.

    Raises:
        InputError: a share out of range, or fewer than two items.
    """
    check_share(share)
    if total < 2:
        raise InputError(f"{where}: {total} {items}, nothing to hold out. Give more, or name a file by --valid")
    return max(1, min(total - 1, total - held_out(total, share)))
