"""What runs a recurrent layer: the answer to `recurra.explain(layer, x)`."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recurra.engine import Explained
from recurra.errors import InputError


class Explanation(dict[str, Explained]):
    """For each layer and direction, "l0", "l0_reverse", "l1", what runs it, why, and what is kept.

    `engine`, `why` and `kept` are those of the first.
    """

    @property
    def engine(self) -> str:
        """The engine of the first layer."""
        return next(iter(self.values())).engine

    @property
    def why(self) -> str:
        """Why it was taken."""
        return next(iter(self.values())).why

    @property
    def kept(self) -> str:
        """What it keeps for the backward pass."""
        return next(iter(self.values())).kept

    def __str__(self) -> str:
        return "\n".join(f"{name}  {one}" for name, one in self.items())


def explain(layer: nn.Module, x: Tensor | PackedSequence, *, lengths: Tensor | None = None) -> Explanation:
    """What runs a layer of recurra's on such an input, why, and what it keeps for the backward pass.

    Args:
        layer: `recurra.LSTM`, `GRU`, `RNN` or `Recurrent`.
        x: as the layer takes it.
        lengths: as the layer takes them.

    Raises:
        InputError: another module.
    """
    ask: Any = getattr(layer, "explain", None)
    if ask is None:
        raise InputError(f"explain: {type(layer).__name__} is not a recurrent layer of recurra")
    found: Explanation = ask(x, lengths=lengths)
    return found
