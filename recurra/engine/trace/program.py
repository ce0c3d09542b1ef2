"""Plans the forward and the backward program of a recorded step.

A program is a list of levels. A level begins with its matrix products, followed by elementwise work on all units of a
row, in one pass per width; values that a later level reads are stored in memory. A plain LSTM has one level, a
layer-normalised one several, because a mean needs all units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from recurra.engine.trace.keep import choose_kept
from recurra.engine.trace.operand import D_NEW_H, D_PARAMETERS, H, Kind, Operand
from recurra.engine.trace.operations import Value
from recurra.engine.trace.presums import presum
from recurra.engine.trace.schedule import Product, Program, Schedule
from recurra.engine.trace.tracer import Recorded

_D_PRODUCTS = frozenset({Kind.D_RECURRENT, Kind.D_PROJECTED})
_READ_BACKWARD = frozenset({Kind.D_NEW_STATE, Kind.D_GATE, Kind.D_PRODUCT_INPUT})


@dataclass(frozen=True)
class Programs:
    """The forward and the backward program of a step."""

    recorded: Recorded
    summed: tuple[str, ...]
    """Gates of which the formula reads only x + u, so that b_hh can be added to x beforehand."""
    kept: tuple[Operand, ...]
    """The values that the forward pass stores for the backward pass and the gradients of weights."""
    kept_sums: tuple[Operand, ...]
    forward: Program
    backward: Program
    product_inputs: dict[Operand, Operand]
    """The operand under which the input of each product is stored."""
    blocks: dict[Operand, Operand]
    """The operand under which the derivative of each pre-activation is stored; equal ones are stored once."""


def plan(recorded: Recorded) -> Programs:
    """Plans the two programs of a recorded step."""
    recorded, summed = presum(recorded)
    operations = {op.name: op for op in recorded.operations}
    outputs = _Outputs.of(recorded)
    product_inputs = {value: _kept(value) for value in outputs.product_inputs.values()}
    # New states are stored anyway: the backward step loads them, and nothing more is kept for them.
    new_states = {
        value: state
        for state, value in outputs.new_states.items()
        if isinstance(value, Operand) and value in operations
    }
    kept, kept_sums = choose_kept(
        operations,
        outputs.derivatives.values(),
        inputs=[name for name in recorded.widths if name.kind in _READ_BACKWARD],
        free=set(new_states),
        stored=set(product_inputs),
    )
    stored = {value: _kept(value) for value in (*kept, *product_inputs)}
    loads = stored | new_states | {total: Operand(Kind.KEPT_SUM, total) for total in kept_sums}
    blocks = _place_derivatives(outputs.derivatives)
    backward_stores = _backward_stores(outputs, blocks.stores)
    forward_products = _forward_products(recorded, summed, outputs)
    return Programs(
        recorded,
        summed,
        tuple(dict.fromkeys([*product_inputs, *kept])),
        kept_sums,
        Schedule(recorded, {}, _forward_stores(outputs, stored), forward_products).program(),
        Schedule(recorded, loads, backward_stores, _backward_products(recorded, blocks)).program(),
        {cut.input: product.inputs[0] for cut, product in zip(recorded.cuts, forward_products, strict=True)},
        blocks.stored_as,
    )


class _Outputs(NamedTuple):
    """The outputs of a recorded step by kind."""

    new_states: dict[Operand, Value]
    gates: dict[Operand, Value]
    product_inputs: dict[Operand, Operand]
    derivatives: dict[Operand, Value]
    """Without those of masks, which have no gradient."""

    @classmethod
    def of(cls, recorded: Recorded) -> _Outputs:
        def some(kinds: frozenset[Kind]) -> dict[Operand, Value]:
            return {operand: value for operand, value in recorded.outputs.items() if operand.kind in kinds}

        inputs = some(frozenset({Kind.PRODUCT_INPUT}))
        return cls(
            some(frozenset({Kind.NEW_STATE})),
            some(frozenset({Kind.GATE})),
            {operand: value for operand, value in inputs.items() if isinstance(value, Operand)},
            some(_D_PRODUCTS | D_PARAMETERS | {Kind.D_INPUT, Kind.D_STATE}),
        )


class _Blocks(NamedTuple):
    """The storage of the derivatives of pre-activations."""

    stored_as: dict[Operand, Operand]
    stores: dict[Operand, Value]


def _kept(value: Operand) -> Operand:
    return Operand(Kind.KEPT, value)


def _place_derivatives(derivatives: Mapping[Operand, Value]) -> _Blocks:
    """Assigns storage to the derivatives of pre-activations: dx and du of a gate are often the same value."""
    stored_as: dict[Operand, Operand] = {}
    stores: dict[Operand, Value] = {}
    first: dict[Value, Operand] = {}
    # Those of x first and all of them: their block (rows, G·H) enters the products for the gradients of x and W_ih.
    for operand, value in derivatives.items():
        if operand.kind is Kind.D_INPUT:
            stored_as[operand], stores[operand] = operand, value
            first.setdefault(value, operand)
    for operand, value in derivatives.items():
        if operand.kind in _D_PRODUCTS:
            if value not in first:
                first[value], stores[operand] = operand, value
            stored_as[operand] = first[value]
    return _Blocks(stored_as, stores)


def _forward_products(recorded: Recorded, summed: tuple[str, ...], outputs: _Outputs) -> list[Product]:
    """The products of the forward program, from stored inputs to the pre-activations of gates."""

    def output(operand: Operand) -> Operand:
        presummed = operand.kind is Kind.RECURRENT and operand.name in summed
        return Operand(Kind.PREACTIVATION, operand.name) if presummed else operand

    products = []
    for number, cut in enumerate(recorded.cuts):
        computed = outputs.product_inputs.get(cut.input)
        read = cut.input if computed is None else _kept(computed)
        products.append(Product(number, (read,), tuple(map(output, cut.outputs))))
    return products


def _backward_products(recorded: Recorded, blocks: _Blocks) -> list[Product]:
    """The transposed products, from the derivatives of their outputs to the derivative of their input."""
    products = []
    for number, cut in enumerate(recorded.cuts):
        inputs = tuple(blocks.stored_as[output.derivative] for output in cut.outputs)
        # The derivative by h adds to that of the state that the previous step returned.
        products.append(Product(number, inputs, (D_NEW_H if cut.input == H else cut.input.derivative,)))
    return products


def _forward_stores(outputs: _Outputs, stored: dict[Operand, Operand]) -> dict[Operand, Value]:
    return {**outputs.new_states, **outputs.gates, **{name: value for value, name in stored.items()}}


def _backward_stores(outputs: _Outputs, stores: dict[Operand, Value]) -> dict[Operand, Value]:
    """Derivatives of pre-activations, of states (as those of the previous step's results), and of parameters."""
    others: dict[Operand, Value] = {}
    for operand, value in outputs.derivatives.items():
        if operand.kind is Kind.D_STATE:
            others[Operand(Kind.D_NEW_STATE, operand.name)] = value
        elif operand.kind in D_PARAMETERS:
            others[operand] = value
    return {**stores, **others}
