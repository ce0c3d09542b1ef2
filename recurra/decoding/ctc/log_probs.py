"""The log-probabilities that the decoders of CTC read: of one utterance, checked once per call."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from recurra.errors import InputError, RecurraError

BLANK = 0
"""The id of the blank."""

LogProbs = npt.NDArray[Any] | Tensor
"""(T, V) natural logarithms of probabilities, of one utterance; symbol 0 is the blank."""

Frames = npt.NDArray[np.float64]


def checked(log_probs: LogProbs, *, first: int = 0) -> Frames:
    """Returns log-probabilities as float64, after checking them.

    Args:
        log_probs: (T, V), a tensor on any device or an array; T may be 0, V is 2 or more. −inf is valid.
        first: the number of the first frame, for messages.

    Raises:
        InputError: the shape is not (T, V), or V is below 2.
        RecurraError: a frame contains NaN or +inf, or is −inf for every symbol.
    """
    if isinstance(log_probs, Tensor):
        log_probs = log_probs.detach().cpu().double().numpy()
    frames = np.asarray(log_probs, dtype=np.float64)
    if frames.ndim != 2:
        raise InputError(f"log_probs is {frames.shape}: expected (T, V), the frames of one utterance")
    if frames.shape[1] < 2:
        raise InputError(f"log_probs is {frames.shape}: expected (T, V) with V ≥ 2, the blank and one more symbol")
    # The maximum of a frame is NaN if one of its values is, and -inf only if all are.
    wrong = ~np.isfinite(frames.max(axis=1))
    if wrong.any():
        frame = int(wrong.argmax())
        value = frames[frame].max()
        problem = "−inf for every symbol" if value == -np.inf else "NaN" if np.isnan(value) else "+inf"
        raise RecurraError(f"frame {first + frame} of the log-probabilities: {problem}. Check the network's weights.")
    return frames
