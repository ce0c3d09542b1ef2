"""What the forward pass keeps for the backward pass.

The backward step reads results of the forward step. What is a state anyway, or follows from states and other kept
values by cheap operations, is computed again; the results of functions such as tanh are kept rather than their
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
"""What lies in memory during the step only."""


class Kept(NamedTuple):
    """Operands that are kept, in the order in which they lie."""

    values: tuple[Operand, ...]
    sums: tuple[Operand, ...]
    """Sums over a row's units, one number a row."""


class _Keeping:
    """The choice, step by step.

    Args:
        operations: of the step and of its derivative.
        free: values that lie in memory anyway, such as new states.
        stored: values that are kept in any case: the inputs of products, for the gradients of weights.
    """

    def __init__(self, operations: dict[Operand, Op], free: set[Operand], stored: set[Operand]) -> None:
        self.operations, self.free, self.stored = operations, free, set(stored)

    def missing(self, value: Operand) -> set[Operand]:
        """What must lie in memory for a value to be computed again, and does not."""
        if value in self.stored or value in self.free:
            return set()
        if value not in self.operations:
            return {value} if value.kind in _IN_PRODUCTS else set()
        if self.operations[value].kind == "sum":
            return set()  # sums are kept, one number a row
        return {operand for argument in _operands(self.operations[value]) for operand in self.missing(argument)}

    def store_inputs(self, needed: Iterable[Operand]) -> None:
        """Keeps the pre-activations that the backward step reads themselves."""
        self.stored |= {value for value in needed if value not in self.operations and self.missing(value)}

    def store_functions(self, ordered: Iterable[Operand]) -> None:
        """Keeps the results of functions that cost more than a load."""
        for value in ordered:
            op = self.operations[value]
            if op.kind not in _CHEAP and op.width and self.missing(value):
                self.stored.add(value)

    def store_rest(self, ordered: Iterable[Operand]) -> None:
        """Keeps, for what cannot be computed again yet, its one missing operand, else the value itself."""
        for value in ordered:
            missing = self.missing(value)
            if missing:
                # A condition is no number; and one operand serves other values as well.
                computed_again = len(missing) == 1 or self.operations[value].kind in CONDITIONS
                self.stored |= missing if computed_again else {value}

    def sums(self, needed: Iterable[Operand]) -> tuple[Operand, ...]:
        """The sums over a row's units that computing the rest again reads."""
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
    """What to keep of the forward pass.

    Args:
        operations: of the step and of its derivative.
        derivatives: what the backward step computes.
        inputs: the derivatives that it begins with.
        free: values that lie in memory anyway.
        stored: values that are kept in any case.
    """
    needed = _needed(operations, derivatives, inputs)
    ordered = [value for value in operations if value in needed]
    keeping = _Keeping(operations, free, stored)
    keeping.store_inputs(needed)
    keeping.store_functions(ordered)
    keeping.store_rest(ordered)
    inputs_kept = sorted(value for value in keeping.stored if value not in operations)
    results_kept = (value for value in operations if value in keeping.stored)
    return Kept((*inputs_kept, *results_kept), keeping.sums(needed))


def _needed(
    operations: dict[Operand, Op], derivatives: Iterable[Value], inputs: Iterable[Operand]
) -> dict[Operand, None]:
    """The values of the forward step that the operations of the backward step read, in the order met."""
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
