"""A recorded step put in order for a machine: what is computed together, what waits for a product, what is kept.

A program is a list of levels. A level begins with its matrix products; then comes elementwise work on all units of a
row, a pass for each width; what a later level reads is put down in memory. The plain LSTM has one level, a
layer-normalised one several, because a mean is known only when all units are.

Kept for the backward pass is what it reads and cannot have otherwise: the results of the gates' functions rather than
their pre-activations, so that no exponential is computed twice; nothing that is a state anyway or follows from states.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from recurra.engine.trace.operations import Op, Value
from recurra.engine.trace.tracer import Recorded

_CHEAP = {
    "add", "sub", "rsub", "mul", "neg", "abs", "where", "relu", "maximum", "minimum", "sign",
    "le", "lt", "ge", "gt", "eq", "ne", "and", "or", "not", "reciprocal", "div", "rsqrt", "sqrt", "sum",
}  # fmt: skip
_CONDITIONS = {"le", "lt", "ge", "gt", "eq", "ne", "and", "or", "not"}


def _can_lie(op: Op | None) -> bool:
    """Whether an operation's value can be put down: numbers of a row's units, and no condition."""
    return op is not None and op.width > 0 and op.kind not in _CONDITIONS


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


@dataclass(frozen=True)
class Programs:
    """Both directions of a step.

    Names in memory: those of `Recorded`, and "a.i" for x + u of gate i, "t.name" for what a later level reads, "r.name"
    for a sum over a row.
    """

    recorded: Recorded
    summed: tuple[str, ...]
    """Gates of which the formula reads x + u only: there b_hh may be added to x beforehand."""
    kept: tuple[str, ...]
    """What the forward pass puts down for the backward pass, and for the weights' gradients."""
    kept_sums: tuple[str, ...]
    forward: Program
    backward: Program
    operands: dict[str, str]
    """For each computed operand of a product, "v.0", the name under which it lies."""
    blocks: dict[str, str]
    """For each of "dx.i", "du.i", "dw.0" the name under which its derivative lies: equal ones lie there once."""

    def kept_width(self, value: str) -> int:
        """Units of something kept."""
        return self.recorded.widths[f"d{value}" if value.startswith("v.") else value]


def plan(recorded: Recorded) -> Programs:
    """The two programs of a recorded step."""
    operations, summed = _sum_up(recorded)
    outputs, widths = recorded.outputs, recorded.widths
    made = {name: value for name, value in outputs.items() if name[:2] in ("n.", "g.", "v.")}
    operands = {value: f"kept.{value}" for name, value in made.items() if name[:2] == "v." and isinstance(value, str)}
    derived = {
        name: value
        for name, value in outputs.items()
        if name.partition(".")[0] in ("dx", "du", "dw", "ds", "dp", "dgain", "dshift")
    }
    free = {value: name for name, value in made.items() if name[:2] == "n." and value in operations}
    kept, kept_sums = _keep(operations, derived.values(), free, set(operands), {n for n in widths if n[0] == "d"})
    blocks, block_stores = _blocks(derived)
    forward_stores = {**made, **{f"kept.{value}": value for value in kept if value not in operands}}
    forward_stores |= {f"kept.{value}": value for value in operands}
    for name, value in made.items():
        if name[:2] == "v.":
            del forward_stores[name]
            if not isinstance(value, str):
                forward_stores[f"kept.{name}"] = value
    first = []
    for number, cut in enumerate(recorded.cuts):
        source = made.get(cut.operand)
        operand = cut.operand if source is None else f"kept.{source if isinstance(source, str) else cut.operand}"
        names = tuple(f"a{n[1:]}" if n[0] == "u" and n[2:] in summed else n for n in cut.outputs)
        first.append(Product(number, (operand,), names))
    back = []
    for number, cut in enumerate(recorded.cuts):
        gives = tuple(blocks[f"d{name}"] for name in cut.outputs)
        back.append(Product(number, gives, ("d.h" if cut.operand == "s.h" else f"d{cut.operand}",)))
    others = {
        ("d." + name[3:] if name.startswith("ds.") else name): value
        for name, value in derived.items()
        if name.partition(".")[0] in ("ds", "dp", "dgain", "dshift")
    }
    store_widths = _StoreWidths(recorded)
    again = {value: f"kept.{value}" for value in (*kept, *operands)} | free | {name: f"rk.{name}" for name in kept_sums}
    return Programs(
        recorded,
        summed,
        tuple(dict.fromkeys([*operands, *kept])),
        kept_sums,
        _Schedule(operations, widths, {}, forward_stores, first, store_widths).program(),
        _Schedule(operations, widths, again, {**block_stores, **others}, back, store_widths).program(),
        {cut.operand: product.inputs[0] for cut, product in zip(recorded.cuts, first, strict=True)},
        blocks,
    )


def _sum_up(recorded: Recorded) -> tuple[dict[str, Op], tuple[str, ...]]:
    """The operations, without the additions x + u of gates of which nothing else is read."""
    readers: dict[str, list[Op]] = {}
    for op in recorded.operations:
        for argument in op.arguments:
            if isinstance(argument, str):
                readers.setdefault(argument, []).append(op)
    summed, gone = [], {}
    for name in recorded.widths:
        group, _, gate = name.partition(".")
        if group != "u" or name in recorded.outputs.values() or f"x.{gate}" in recorded.outputs.values():
            continue
        both = readers.get(name, []) + readers.get(f"x.{gate}", [])
        if len(both) == 2 and both[0] is both[1] and both[0].kind == "add":
            summed.append(gate)
            gone[both[0].name] = f"a.{gate}"
    kept = (op for op in recorded.operations if op.name not in gone)
    operations = {op.name: op._replace(arguments=tuple(_lookup(gone, a) for a in op.arguments)) for op in kept}
    for name, new in gone.items():
        recorded.widths[new] = recorded.widths[name]
    recorded.outputs.update({k: _lookup(gone, v) for k, v in recorded.outputs.items()})
    return operations, tuple(summed)


def _lookup(names: dict[str, str], value: Value) -> Value:
    return names.get(value, value) if isinstance(value, str) else value


def _keep(
    operations: dict[str, Op], wanted: Iterable[Value], free: dict[str, str], stored: set[str], cotangents: set[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What to keep of the forward pass: values, and sums over rows."""
    backward: dict[str, bool] = dict.fromkeys(cotangents, True)
    for op in operations.values():
        backward[op.name] = any(isinstance(a, str) and backward.get(a, False) for a in op.arguments)
    needed: dict[str, None] = {}
    seen: set[str] = set()
    todo = [value for value in wanted if isinstance(value, str)]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if backward.get(name):
            todo += [a for a in operations[name].arguments if isinstance(a, str)] if name in operations else []
        else:
            needed[name] = None
    stored = set(stored)

    def leaves(name: str) -> set[str]:
        """What must lie in memory for this to be computed again, and does not."""
        if name in stored or name in free:
            return set()
        if name not in operations:
            return {name} if name[:2] in ("x.", "u.", "a.", "w.") else set()
        if operations[name].kind == "sum":
            return set()  # sums are kept, one number a row
        return {leaf for a in operations[name].arguments if isinstance(a, str) for leaf in leaves(a)}

    order = [name for name in operations if name in needed]
    stored |= {name for name in needed if name not in operations and leaves(name)}
    for name in order:
        if operations[name].kind not in _CHEAP and operations[name].width and leaves(name):
            stored.add(name)
    for name in order:
        missing = leaves(name)
        # A condition is no number; and one leaf serves others as well.
        if missing:
            stored |= missing if len(missing) == 1 or operations[name].kind in _CONDITIONS else {name}
    sums: dict[str, None] = {}
    seen = set()
    todo = [name for name in needed if name not in stored and name not in free]
    while todo:
        name = todo.pop()
        if name in seen or name in stored or name in free or name not in operations:
            continue
        seen.add(name)
        if operations[name].kind == "sum":
            sums[name] = None
        else:
            todo += [a for a in operations[name].arguments if isinstance(a, str)]
    kept = (*sorted(name for name in stored if name not in operations), *(n for n in operations if n in stored))
    return kept, tuple(sums)


def _blocks(derived: dict[str, Value]) -> tuple[dict[str, str], dict[str, Value]]:
    """Where each derivative of a pre-activation lies, and what is put down."""
    blocks: dict[str, str] = {}
    stores: dict[str, Value] = {}
    places: dict[Value, str] = {}
    for name, value in derived.items():
        group = name.partition(".")[0]
        if group == "dx":
            blocks[name], stores[name] = name, value
            places.setdefault(value, name)
    for name, value in derived.items():
        if name.partition(".")[0] in ("du", "dw"):
            if value not in places:
                places[value], stores[name] = name, value
            blocks[name] = places[value]
    return blocks, stores


class _StoreWidths:
    """The width of each name that something is stored under."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded

    def __call__(self, name: str) -> int:
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


class _Schedule:
    """Levels of operations: as early as their products and sums allow."""

    def __init__(
        self,
        operations: dict[str, Op],
        widths: dict[str, int],
        loads: dict[str, str],
        stores: dict[str, Value],
        products: list[Product],
        store_width: _StoreWidths,
    ) -> None:
        self.operations, self.widths, self.loads = operations, widths, loads
        self.stores, self.products, self.store_width = stores, products, store_width
        self.made_by = {name: product for product in products for name in product.outputs}
        self.levels: dict[str, int] = {}
        self.passes: dict[tuple[int, int], Pass] = {}

    def program(self) -> Program:
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
