"""A stack of layers as a stream: one step at a time."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from recurra.cells import State, States
from recurra.engine.stream import LayerSource, Stream
from recurra.engine.stream.by_rows import StreamsByRows
from recurra.errors import InputError
from recurra.layers.parameters import LayerPosition, initial_state


def stream_of(layer: Any, rows: int, weights: str) -> Stream:
    """A stream of the layers of a stack.

    Args:
        layer: a `Recurrent`.
        rows: sequences that run at the same time, B.
        weights: how the matrices are stored; see `Stream`.

    Raises:
        InputError: the stack reads sequences from both ends.
    """
    if layer.bidirectional:
        raise InputError(
            f"{type(layer).__name__}: bidirectional=True: the second direction starts at the end of a sequence, which "
            "a stream does not have. Use a layer with one direction"
        )
    sources = [_source(layer, position) for position in layer._positions]
    return Stream(sources, rows, layer._recurrent_weights[0], weights=weights, engine=layer.engine)


class StackStep:
    """Single steps of a stack as a function of its state: on streams for few rows, otherwise by the stack itself.

    A stream is used in evaluation mode without gradients, in float32 on the CPU. It is set to the state before each
    step, and the next state is a copy, so that states are values.

    Args:
        stack: a `Recurrent` with one direction.
    """

    def __init__(self, stack: Any) -> None:
        self._stack = stack
        self._streams = StreamsByRows(self._create)

    def __call__(self, x: Tensor, state: States, **options: Any) -> tuple[Tensor, States]:
        """Returns y (1, N, P) and the next state from x (1, N, I); `options` are those of the stack's forward."""
        is_plain = len(x) == 1 and not self._stack.training and all(value is None for value in options.values())
        stream = self._streams.get(x.shape[1]) if is_plain else None
        if stream is None:
            result: tuple[Tensor, States] = self._stack(x, state, **options)
            return result
        stream.restore(state)
        return stream.run(x), stream.state

    def _create(self, rows: int) -> Stream | None:
        stream = stream_of(self._stack, rows, "float32")
        return stream if stream.compiled is not None and stream.dtype == torch.float32 else None


def _source(layer: Any, position: LayerPosition) -> LayerSource:
    connected = position.layer > 0
    highway = connected and layer.highway

    def gate() -> tuple[Tensor, Tensor]:
        names = f"weight_highway_l{position.layer}", f"bias_highway_l{position.layer}"
        return getattr(layer, names[0]), getattr(layer, names[1])

    def initial(rows: int) -> State:
        return initial_state(layer, position, rows, learned=layer.learn_initial_state)

    rates = layer._dropout_rates.expected_zoneout(position, layer.weights(position.suffix).hh.detach())
    return LayerSource(
        cell=layer.cell,
        inputs=position.input,
        emitted=position.emitted,
        states=position.states,
        weights=partial(layer.weights, position.suffix),
        held=layer._parameters,
        zoneout=rates,
        connection="highway" if highway else "residual" if connected and layer.residual else "",
        highway=gate if highway else None,
        initial=initial if layer.learn_initial_state else None,
    )
