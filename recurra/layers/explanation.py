"""Reports what runs a recurrent layer: `recurra.explain(layer, x)`."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recurra.engine import Explained
from recurra.errors import InputError


class Explanation(dict[str, Explained]):
    """For each layer and direction, "l0", "l0_reverse", "l1", its engine, the reason, and what is kept.

    `engine`, `why` and `kept` are those of the first layer.
    """

    @property
    def engine(self) -> str:
        """The engine of the first layer."""
        return next(iter(self.values())).engine

    @property
    def why(self) -> str:
        """The reason for this engine."""
        return next(iter(self.values())).why

    @property
    def kept(self) -> str:
        """What it keeps for the backward pass."""
        return next(iter(self.values())).kept

    def __str__(self) -> str:
        return "\n".join(f"{name}  {one}" for name, one in self.items())


def explain(layer: nn.Module, x: Tensor | PackedSequence, *, lengths: Tensor | None = None) -> Explanation:
    """Reports what runs a layer on an input like x, why, and what it keeps for the backward pass.

    Args:
        layer: `recurra.LSTM`, `GRU`, `RNN` or `Recurrent`.
        x: an input of the layer.
        lengths: the lengths of its rows, as in the layer's `forward`.

    Raises:
        InputError: another module.
    """
    method: Any = getattr(layer, "explain", None)
    if method is None:
        raise InputError(f"explain: {type(layer).__name__} is not a recurrent layer of recurra")
    explanation: Explanation = method(x, lengths=lengths)
    return explanation
