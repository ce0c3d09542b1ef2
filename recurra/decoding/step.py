"""The model as sampling and beam search call it: one step, and the choice of rows between two steps."""

from typing import Protocol, TypeVar

from torch import Tensor

S = TypeVar("S")


class Step(Protocol[S]):
    """One step of a model for N rows at once; S is the type of its state, a value that no later step changes.

    The same state may be used several times: a step from it always has the same result.
    """

    def __call__(self, tokens: Tensor, state: S, /) -> tuple[Tensor, S]:
        """Reads a token of each row.

        Args:
            tokens: (N,) int64.
            state: of the N rows.

        Returns:
            The log-probabilities (N, V) of the next token, and the next state.
        """
        ...

    def select(self, state: S, rows: Tensor, /) -> S:
        """Returns the state of some rows.

        Args:
            state: of N rows.
            rows: (M,) int64, the numbers of rows, in the order of the result; a row may occur several times.
        """
        ...
