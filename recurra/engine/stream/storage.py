"""How a stream stores the matrices of a layer: as they are, or as a smaller copy with a loss of accuracy."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import torch
from torch import Tensor

# Numbers per row of a copy are a multiple of this: two vectors of 16 bits with 512-bit registers.
_MULTIPLE = 64


class Storage(StrEnum):
    """The form of a matrix."""

    PLAIN = "float32"
    """The parameter itself, float32 or float64."""
    FLOAT16 = "float16"
    """A copy in 16 bits."""
    INT8 = "int8"
    """A copy in 8 bits with a scale per row; the vector that it multiplies is rounded to 16 bits."""


class Stored(NamedTuple):
    """A stored matrix."""

    matrix: Tensor
    """(N, K), padded with zeros to (N, `padded(K)`) if it is a copy."""
    scale: Tensor | None
    """(N,) for int8: W ≈ scale · matrix."""


def padded(inputs: int) -> int:
    """Numbers in a row of a copy."""
    return -(-inputs // _MULTIPLE) * _MULTIPLE


def store(matrix: Tensor, storage: Storage) -> Stored:
    """Stores a matrix (N, K)."""
    if storage is Storage.PLAIN:
        return Stored(matrix, None)
    rows, inputs = matrix.shape
    scale = None
    if storage is Storage.INT8:
        scale = matrix.abs().amax(1) / 127  # (N,)
        matrix = torch.where(scale[:, None] > 0, matrix / scale[:, None], 0).round()
    copy = torch.zeros(rows, padded(inputs), dtype=torch.float16 if storage is Storage.FLOAT16 else torch.int8)
    copy[:, :inputs] = matrix
    return Stored(copy, scale)


def relative_error(matrix: Tensor, stored: Stored) -> tuple[float, float]:
    """The squared error of a stored matrix, and the squared norm of the matrix."""
    restored = stored.matrix[:, : matrix.shape[1]].to(matrix.dtype)
    if stored.scale is not None:
        restored = restored * stored.scale[:, None]
    return float((restored - matrix).square().sum()), float(matrix.square().sum())
