"""Operations in levels: as early as the matrix products and the sums that they wait for allow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from recurra.engine.trace.operations import CONDITIONS, Op, Value
from recurra.engine.trace.tracer import Recorded


def _can_lie(op: Op | None) -> bool:
    """Whether an operation's value can be put down: numbers of a row's units, and no condition."""
    return op is not None and op.width > 0 and op.kind not in CONDITIONS


class Product(NamedTuple):
    """Each output (+)= W of the inputs, side by side; names of what lies in memory."""

    cut: int
    """Which of the recorded cuts it is."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass
class Pass:
    """Elementwise work on rows of one width, after the products that give rows of that width."""

    width: int
    products: list[Product] = field(default_factory=list)
    stores: dict[str, Value] = field(default_factory=dict)
    """Where to, and what."""
    sums: list[str] = field(default_factory=list)
    """Operations of kind "sum" whose argument is computed here."""


@dataclass(frozen=True)
class Program:
    """The step, or its derivative, level by level."""

    levels: tuple[tuple[Pass, ...], ...]
    operations: dict[str, Op]
    loads: dict[str, str]
    """Values that lie in memory already, and under which name."""
    level_of: dict[str, int]

    @property
    def products(self) -> list[Product]:
        """The matrix products in the order of the recorded cuts."""
        return sorted(product for level in self.levels for one in level for product in one.products)

    def is_ready(self, name: str, level: int) -> bool:
        """Whether an operation's value was put down by an earlier level, as "t" and its name."""
        op = self.operations.get(name)
        return _can_lie(op) and self.level_of[name] < level


class StoreWidths:
    """The width of each name that something is stored under."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded

    def __call__(self, name: str) -> int:
        """Units."""
        widths = self.recorded.widths
        group, _, member = name.partition(".")
        if group == "n":
            return widths[f"s.{member}"]
        if group == "g":
            return widths[f"dg.{member}"]
        if group == "kept":
            return widths[f"d{member}"] if member.startswith("v.") else widths[member]
        if group in ("dx", "du", "dw", "dp", "dgain", "dshift"):
            return widths[name[1:]]
        return widths[name]


class Schedule:
    """Levels of operations: as early as their products and sums allow."""

    def __init__(
        self,
        operations: dict[str, Op],
        widths: dict[str, int],
        loads: dict[str, str],
        stores: dict[str, Value],
        products: list[Product],
        store_width: StoreWidths,
    ) -> None:
        self.operations, self.widths, self.loads = operations, widths, loads
        self.stores, self.products, self.store_width = stores, products, store_width
        self.made_by = {name: product for product in products for name in product.outputs}
        self.levels: dict[str, int] = {}
        self.passes: dict[tuple[int, int], Pass] = {}

    def program(self) -> Program:
        """The levels."""
        for name, value in self.stores.items():
            self._pass(self._store_level(name, value), self.store_width(name)).stores[name] = value
        last = max((level for level, _ in self.passes), default=0)
        for product in self.products:
            level = self._product_level(product)
            if product.outputs == ("d.h",):
                level = max(level, last + 1)  # it adds to what the formula put there
            self._pass(level, self._out_width(product)).products.append(product)
        self._cross()
        levels = range(1 + max(level for level, _ in self.passes))
        ordered = tuple(tuple(p for (at, _), p in self.passes.items() if at == level) for level in levels)
        names = {name: self._level(name) for name in self.operations if name in self.levels}
        return Program(ordered, self.operations, self.loads, names)

    def _pass(self, level: int, width: int) -> Pass:
        return self.passes.setdefault((level, width), Pass(width))

    def _out_width(self, product: Product) -> int:
        name = product.outputs[0]
        return self.widths["x" + name[1:]] if name[:2] == "a." else self.widths[name]

    def _level(self, value: Value) -> int:
        if not isinstance(value, str) or value in self.loads:
            return 0
        if value in self.made_by:
            return self._product_level(self.made_by[value]) if value != "d.h" else 0
        if value not in self.operations:
            return 0
        if value not in self.levels:
            op = self.operations[value]
            self.levels[value] = max((self._level(a) for a in op.arguments), default=0) + (op.kind == "sum")
        return self.levels[value]

    def _product_level(self, product: Product) -> int:
        if product.inputs == ("s.h",):
            return 0
        return 1 + max(self._store_level(name, self.stores[name]) for name in product.inputs)

    def _store_level(self, name: str, value: Value) -> int:
        level = self._level(value)
        if name[:2] != "d.":
            return level
        # What is stored over an input waits for the last who reads it.
        readers = [op.name for op in self.operations.values() if name in op.arguments]
        return max([level, *(self._level(reader) for reader in readers)])

    def _cross(self) -> None:
        """Puts down what a later level reads, and the sums."""
        for level in range(max(at for at, _ in self.passes), -1, -1):
            for (at, _), one in list(self.passes.items()):
                if at == level:
                    todo = [value for value in one.stores.values() if isinstance(value, str)]
                    todo += [str(self.operations[total].arguments[0]) for total in one.sums]
                    self._visit(todo, level)

    def _visit(self, todo: list[str], level: int) -> None:
        seen: set[str] = set()
        while todo:
            name = todo.pop()
            if name in seen or name in self.loads or name not in self.operations:
                continue
            seen.add(name)
            op, at = self.operations[name], self._level(name)
            if op.kind == "sum":
                argument = str(op.arguments[0])
                one = self._pass(at - 1, self.widths[argument])
                if name not in one.sums:
                    one.sums.append(name)
                    if at - 1 == level:
                        todo.append(argument)
            elif _can_lie(op) and at < level:
                self._pass(at, op.width).stores.setdefault(f"t.{name}", name)
            else:
                todo += [a for a in op.arguments if isinstance(a, str)]
