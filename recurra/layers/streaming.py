"""A stack of layers as a stream: one step at a time."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from recurra.cells import State
from recurra.engine.stream import LayerSource, Stream
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
    return Stream(sources, rows, layer._recurrent_weights[0], weights=weights)


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
