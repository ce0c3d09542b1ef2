"""Selects the values that the forward pass keeps for the backward pass.

The backward step reads results of the forward step. States are stored anyway, and values that follow from states and
kept values by cheap operations are recomputed. The results of functions such as tanh are kept rather than their
arguments, so that no exponential is computed twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from recurra.engine.trace.operand import PRODUCTS, Kind, Operand
from recurra.engine.trace.operations import CONDITIONS, Op, Value

_CHEAP = {
    "add", "sub", "rsub", "mul", "neg", "abs", "where", "relu", "maximum", "minimum", "sign",
    "le", "lt", "ge", "gt", "eq", "ne", "and", "or", "not", "reciprocal", "div", "rsqrt", "sqrt", "sum",
}  # fmt: skip
_IN_PRODUCTS = PRODUCTS | {Kind.INPUT}
"""Operands that are in memory only during the step."""


class Kept(NamedTuple):
    """The kept operands, in their order in memory."""

    values: tuple[Operand, ...]
    sums: tuple[Operand, ...]
    """Sums over the units of a row, one number per row."""


class _Selection:
    """The selection, in several steps.

    Args:
        operations: the operations of the step and of its derivative.
        free: values that are in memory anyway, such as new states.
        stored: values that are always kept: the inputs of products, for the gradients of weights.
    """

    def __init__(self, operations: dict[Operand, Op], free: set[Operand], stored: set[Operand]) -> None:
        self.operations, self.free, self.stored = operations, free, set(stored)

    def missing(self, value: Operand) -> set[Operand]:
        """The operands that are needed to recompute a value, and are not in memory."""
        if value in self.stored or value in self.free:
            return set()
        if value not in self.operations:
            return {value} if value.kind in _IN_PRODUCTS else set()
        if self.operations[value].kind == "sum":
            return set()  # sums are kept, at one number per row
        return {operand for argument in _operands(self.operations[value]) for operand in self.missing(argument)}

    def store_inputs(self, needed: Iterable[Operand]) -> None:
        """Keeps pre-activations that the backward step reads directly."""
        self.stored |= {value for value in needed if value not in self.operations and self.missing(value)}

    def store_functions(self, ordered: Iterable[Operand]) -> None:
        """Keeps the results of functions that take longer than a load."""
        for value in ordered:
            op = self.operations[value]
            if op.kind not in _CHEAP and op.width and self.missing(value):
                self.stored.add(value)

    def store_rest(self, ordered: Iterable[Operand]) -> None:
        """Keeps, for each value that cannot be recomputed yet, its one missing operand, else the value itself."""
        for value in ordered:
            missing = self.missing(value)
            if missing:
                # A condition cannot be stored as a number; and one operand may also serve other values.
                computed_again = len(missing) == 1 or self.operations[value].kind in CONDITIONS
                self.stored |= missing if computed_again else {value}

    def sums(self, needed: Iterable[Operand]) -> tuple[Operand, ...]:
        """The sums over a row's units that the recomputation reads."""
        sums: dict[Operand, None] = {}
        todo = [value for value in needed if value not in self.stored and value not in self.free]
        seen: set[Operand] = set()
        while todo:
            value = todo.pop()
            if value in seen or value in self.stored or value in self.free or value not in self.operations:
                continue
            seen.add(value)
            if self.operations[value].kind == "sum":
                sums[value] = None
            else:
                todo += _operands(self.operations[value])
        return tuple(sums)


def choose_kept(
    operations: dict[Operand, Op],
    derivatives: Iterable[Value],
    *,
    inputs: Iterable[Operand],
    free: set[Operand],
    stored: set[Operand],
) -> Kept:
    """Selects the values to keep from the forward pass.

    Args:
        operations: the operations of the step and of its derivative.
        derivatives: the results of the backward step.
        inputs: the derivatives that are its inputs.
        free: values that are in memory anyway.
        stored: values that are always kept.
    """
    needed = _needed(operations, derivatives, inputs)
    ordered = [value for value in operations if value in needed]
    selection = _Selection(operations, free, stored)
    # In this order: a kept function makes values after it cheap to recompute, so that fewer of them are kept.
    selection.store_inputs(needed)
    selection.store_functions(ordered)
    selection.store_rest(ordered)
    inputs_kept = sorted(value for value in selection.stored if value not in operations)
    results_kept = (value for value in operations if value in selection.stored)
    return Kept((*inputs_kept, *results_kept), selection.sums(needed))


def _needed(
    operations: dict[Operand, Op], derivatives: Iterable[Value], inputs: Iterable[Operand]
) -> dict[Operand, None]:
    """The values of the forward step that operations of the backward step read."""
    # An operation belongs to the backward step if it depends on a derivative that the step begins with.
    of_backward = dict.fromkeys(inputs, True)
    for op in operations.values():
        of_backward[op.name] = any(of_backward.get(argument, False) for argument in _operands(op))
    needed: dict[Operand, None] = {}
    todo = [value for value in derivatives if isinstance(value, Operand)]
    seen: set[Operand] = set()
    while todo:
        value = todo.pop()
        if value in seen:
            continue
        seen.add(value)
        if not of_backward.get(value):
            needed[value] = None
        elif value in operations:
            todo += _operands(operations[value])
    return needed


def _operands(op: Op) -> list[Operand]:
    return [argument for argument in op.arguments if isinstance(argument, Operand)]
