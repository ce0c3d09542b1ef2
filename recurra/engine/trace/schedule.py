"""Arranges operations in levels: as early as the matrix products and sums that they depend on allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from recurra.engine.trace.operand import D_NEW_H, H, Kind, Operand
from recurra.engine.trace.operations import CONDITIONS, Op, Value
from recurra.engine.trace.tracer import Recorded


def _is_storable(op: Op | None) -> bool:
    """Whether the result of an operation can be stored: one number per unit, and not a condition."""
    return op is not None and op.width > 0 and op.kind not in CONDITIONS


class Product(NamedTuple):
    """A matrix product: each output (+)= W inputs, the inputs adjacent in memory."""

    cut: int
    """The number of the recorded cut."""
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]


@dataclass
class Pass:
    """Elementwise work on rows of one width, after the products with outputs of that width."""

    width: int
    products: list[Product] = field(default_factory=list)
    stores: dict[Operand, Value] = field(default_factory=dict)
    """The value that is stored under each operand."""
    sums: list[Operand] = field(default_factory=list)
    """Operations of kind "sum" whose argument is computed here."""


@dataclass(frozen=True)
class Program:
    """The step or its derivative, as levels of passes."""

    levels: tuple[tuple[Pass, ...], ...]
    operations: dict[Operand, Op]
    loads: dict[Operand, Operand]
    """The operand under which a value is stored in memory already."""
    level_of: dict[Operand, int]

    @property
    def products(self) -> list[Product]:
        """The matrix products in the order of the recorded cuts."""
        return sorted(product for level in self.levels for pass_ in level for product in pass_.products)

    def is_ready(self, name: Operand, level: int) -> bool:
        """Whether an operation's value was stored by an earlier level, as a TEMPORARY operand."""
        op = self.operations.get(name)
        return _is_storable(op) and self.level_of[name] < level


class Schedule:
    """Assigns operations to levels.

    Args:
        recorded: the step.
        loads: the operand under which a value is stored in memory already.
        stores: the value to store under each operand.
        products: the matrix products.
    """

    def __init__(
        self,
        recorded: Recorded,
        loads: Mapping[Operand, Operand],
        stores: Mapping[Operand, Value],
        products: Sequence[Product],
    ) -> None:
        self.operations = {op.name: op for op in recorded.operations}
        self.widths, self.loads, self.stores, self.products = recorded.widths, loads, stores, products
        self.product_of = {output: product for product in products for output in product.outputs}
        self.levels: dict[Operand, int] = {}
        self.passes: dict[tuple[int, int], Pass] = {}

    def program(self) -> Program:
        """Builds the program."""
        # Each store decides the level of its pass; the operations before it are computed in that pass, or in an earlier
        # one that stores their result.
        for operand, value in self.stores.items():
            self._pass(self._store_level(operand, value), store_width(self.widths, operand)).stores[operand] = value
        last = max((level for level, _ in self.passes), default=0)
        for product in self.products:
            level = self._product_level(product)
            if product.outputs == (D_NEW_H,):
                level = max(level, last + 1)  # it adds to the derivative that the formula stores
            self._pass(level, self._output_width(product)).products.append(product)
        self._store_for_later_levels()
        levels = range(1 + max(level for level, _ in self.passes))
        ordered = tuple(tuple(p for (at, _), p in self.passes.items() if at == level) for level in levels)
        level_of = {result: self._level(result) for result in self.operations if result in self.levels}
        return Program(ordered, self.operations, dict(self.loads), level_of)

    def _pass(self, level: int, width: int) -> Pass:
        return self.passes.setdefault((level, width), Pass(width))

    def _output_width(self, product: Product) -> int:
        output = product.outputs[0]
        return self.widths[Operand(Kind.INPUT, output.name) if output.kind is Kind.PREACTIVATION else output]

    def _level(self, value: Value) -> int:
        """The first level at which a value can be computed."""
        if not isinstance(value, Operand) or value in self.loads:
            return 0
        if value in self.product_of:
            return self._product_level(self.product_of[value]) if value != D_NEW_H else 0
        if value not in self.operations:
            return 0
        if value not in self.levels:
            op = self.operations[value]
            # A sum over a row needs all units: one level later.
            self.levels[value] = max((self._level(a) for a in op.arguments), default=0) + (op.kind == "sum")
        return self.levels[value]

    def _product_level(self, product: Product) -> int:
        if product.inputs == (H,):
            return 0
        # The inputs of a product are stored by all threads first: one level later.
        return 1 + max(self._store_level(operand, self.stores[operand]) for operand in product.inputs)

    def _store_level(self, operand: Operand, value: Value) -> int:
        level = self._level(value)
        if operand.kind is not Kind.D_NEW_STATE:
            return level
        # A store that overwrites an input waits for the last operation that reads the input.
        readers = [op.name for op in self.operations.values() if operand in op.arguments]
        return max([level, *(self._level(reader) for reader in readers)])

    def _store_for_later_levels(self) -> None:
        """Adds stores for values that a later level reads, and the sums."""
        # From the last level to the first: a value that a later level reads may need further values of earlier levels.
        for level in range(max(at for at, _ in self.passes), -1, -1):
            for (at, _), pass_ in list(self.passes.items()):
                if at == level:
                    todo = [value for value in pass_.stores.values() if isinstance(value, Operand)]
                    todo += [one_argument(self.operations[total]) for total in pass_.sums]
                    self._visit(todo, level)

    def _visit(self, todo: list[Operand], level: int) -> None:
        seen: set[Operand] = set()
        while todo:
            value = todo.pop()
            if value in seen or value in self.loads or value not in self.operations:
                continue
            seen.add(value)
            op, at = self.operations[value], self._level(value)
            if op.kind == "sum":
                argument = one_argument(op)
                pass_ = self._pass(at - 1, self.widths[argument])
                if value not in pass_.sums:
                    pass_.sums.append(value)
                    if at - 1 == level:
                        todo.append(argument)
            elif _is_storable(op) and at < level:
                self._pass(at, op.width).stores.setdefault(Operand(Kind.TEMPORARY, value), value)
            else:
                todo += [a for a in op.arguments if isinstance(a, Operand)]


def store_width(widths: Mapping[Operand, int], operand: Operand) -> int:
    """The number of units stored under an operand."""
    if operand.kind is Kind.NEW_STATE:
        return widths[Operand(Kind.STATE, operand.name)]
    if operand.kind is Kind.GATE:
        return widths[operand.derivative]
    if operand.kind is Kind.KEPT:
        return widths[operand.of]
    if operand.kind in (Kind.D_NEW_STATE, Kind.D_GATE, Kind.D_PRODUCT_INPUT):
        return widths[operand]  # inputs of the backward step, whose widths are recorded
    return widths[operand.primal]


def one_argument(op: Op) -> Operand:
    """The argument of a sum."""
    (argument,) = op.arguments
    assert isinstance(argument, Operand)
    return argument
