"""What evaluation reads: one text from its start, the state carried through to its end."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.errors import InputError


def contiguous(tokens: npt.NDArray[Any], *, window: int = 1024) -> Iterator[tuple[Tensor, Tensor]]:
    """The N - 1 steps of a text in order, as (inputs, targets), each (T, 1) int64 with T ≤ `window`.

    One stream only: dividing a text among several would be faster, but lose the context at every division.

    Args:
        tokens: (N,) integers, a memory map perhaps.
        window: steps at a time; with the state carried it changes the time and the memory, not the losses.

    Raises:
        InputError: fewer than two tokens, or a window below one.
    """
    if window < 1:
        raise InputError(f"window={window}, expected 1 or more.")
    if len(tokens) < 2:
        raise InputError(f"the text has {len(tokens)} tokens, expected 2 or more: nothing is left to predict.")
    return _windows(tokens, window)


def _windows(tokens: npt.NDArray[Any], window: int) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(tokens) - 1, window):
        piece = torch.from_numpy(tokens[start : start + window + 1].astype(np.int64)).unsqueeze(1)  # (T + 1, 1)
        yield piece[:-1], piece[1:]
