"""Symbols with their frames: what greedy decoding and the forced alignment return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]


class CTCSymbol(NamedTuple):
    """One symbol and the frames in which it is emitted."""

    id: int
    start: int
    """The number of its first frame."""
    end: int
    """The number of the frame after its last one."""
    confidence: float
    """The largest probability that the network gives the symbol in one of its frames."""


class CTCPath(NamedTuple):
    """The symbols of an utterance without blanks, with their frames.

    The confidence of a symbol is the largest probability of the symbol in one of its frames. CTC networks emit a symbol
    in few frames, and those at the edges of a run are uncertain by nature; a mean over frames would measure the length
    of the run.
    """

    ids: Ids
    """(S,) int64."""
    starts: Ids
    """(S,) int64, the number of the first frame of each symbol."""
    ends: Ids
    """(S,) int64, the number of the frame after the last one of each symbol."""
    confidences: npt.NDArray[np.float64]
    """(S,) float64, from 0 to 1."""

    @classmethod
    def of(cls, symbols: Sequence[CTCSymbol]) -> CTCPath:
        """Returns the path of these symbols."""
        ids, starts, ends = (np.array([symbol[field] for symbol in symbols], dtype=np.int64) for field in range(3))
        return cls(ids, starts, ends, np.array([symbol.confidence for symbol in symbols], dtype=np.float64))
