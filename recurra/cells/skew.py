"""A skew-symmetric matrix from a free one, for recurrences that preserve the length of h."""

from __future__ import annotations

from torch import Tensor

from recurra.errors import InputError


def skew(name: str, hh: Tensor) -> Tensor:
    """A = V - Vᵀ of a free matrix V, so that vᵀ A v = 0 for every v and the eigenvalues of A are imaginary.

    Args:
        name: the cell, for the message.
        hh: V, (H, H).

    Returns:
        A, (H, H).

    Raises:
        InputError: hh is not square, as with a projection.
    """
    if hh.shape[0] != hh.shape[1]:
        raise InputError(
            f"{name}: weight_hh is {tuple(hh.shape)}, but V - Vᵀ needs a square matrix. Omit proj_size with this cell"
        )
    return hh - hh.T
