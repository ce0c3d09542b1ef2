"""Windows for evaluation: one stream from the start of a text to its end, with the state carried."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.errors import InputError


def contiguous(tokens: npt.NDArray[Any], *, window: int = 1024) -> Iterator[tuple[Tensor, Tensor]]:
    """Iterates over the N - 1 steps of a text in order, as (inputs, targets), each (T, 1) int64 with T ≤ `window`.

    It is a single stream: several parallel streams would be faster, but lose the context at the start of each.

    Args:
        tokens: (N,) integers, possibly memory-mapped.
        window: steps per window; with a carried state it affects time and memory, but not the losses.

    Raises:
        InputError: there are fewer than two tokens, or the window is below one.
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
