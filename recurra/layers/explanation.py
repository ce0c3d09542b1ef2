"""Reports what runs a recurrent layer: `recurra.explain(layer, x)`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recurra.engine import Explained
from recurra.engine import explain as explain_request
from recurra.errors import InputError
from recurra.layers.masks import no_masks
from recurra.layers.sequences import PaddedInput


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


def explain_stack(layer: Any, padded: PaddedInput) -> Explanation:
    """The report of a `Recurrent` for an input that it has converted to (T, B, I)."""
    T, rows = padded.x.shape[:2]
    # A separate generator, so that the report does not advance the global one.
    generator = torch.Generator(layer._recurrent_weights[0].device).manual_seed(0)
    masks = layer.draw_masks(rows, T, generator) if layer.training else no_masks(layer._positions)
    states, explained = layer.initial_state(rows), {}
    for index, position in enumerate(layer._positions):
        features = padded.x if position.layer == 0 else padded.x.new_empty(T, rows, position.input)
        request = layer._request(features, states[index], padded.lengths, masks, index, False)
        explained[position.suffix.removeprefix("_")] = explain_request(request, layer.engine)
    return Explanation(explained)
