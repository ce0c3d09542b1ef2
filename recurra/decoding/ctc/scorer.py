"""What prefix beam search calls for a language model: scores of prefixes in the recogniser's alphabet."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]
S = TypeVar("S")


class PrefixScorer(Protocol[S]):
    """Scores prefixes of an output symbol by symbol; S is the state of one prefix, a value that never changes.

    A state belongs to one prefix, and several prefixes may continue it. All log-probabilities are natural logarithms.
    """

    def start(self) -> S:
        """Returns the state of the empty prefix."""
        ...

    def next_log_probs(self, states: Sequence[S], /) -> npt.NDArray[Any]:
        """Returns the log-probabilities of the next symbol of N prefixes, (N, V) for the V symbols of the recogniser.

        They rank the extensions of a prefix before these enter the beam; those from `advance` replace them
        afterwards. They should be equal, or larger where the exact ones are expensive. Symbol 0, the blank, is ignored.
        """
        ...

    def advance(self, states: Sequence[S], symbols: Sequence[int], /) -> tuple[list[S], npt.NDArray[Any]]:
        """Extends N prefixes by one symbol each.

        Returns:
            The states after the symbols, and the log-probabilities (N,) of the symbols.
        """
        ...

    def finish(self, states: Sequence[S], /) -> npt.NDArray[Any]:
        """Returns the log-probabilities (N,) of the end of the output after N prefixes."""
        ...
