"""Streams for a number of rows that changes, as a search has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch

MOST_ROWS = 16
"""Rows up to which a compiled step is faster than torch's matrix products for a batch."""

T = TypeVar("T")


class StreamsByRows(Generic[T]):
    """A stream for each number of rows, created at its first use.

    Args:
        create: returns the stream of a number of rows; None if there is none in compiled code.
    """

    def __init__(self, create: Callable[[int], T | None]) -> None:
        self._create = create
        self._streams: dict[int, T | None] = {}

    def get(self, rows: int) -> T | None:
        """Returns the stream of this many rows; None where PyTorch's operators have to compute the step.

        These are steps of many rows, steps whose gradients are recorded, and layers without a compiled step.
        """
        if not 0 < rows <= MOST_ROWS or torch.is_grad_enabled():
            return None
        if rows not in self._streams:
            # Buffers created in inference mode could not be written to outside it.
            with torch.inference_mode(False), torch.no_grad():
                self._streams[rows] = self._create(rows)
        return self._streams[rows]
