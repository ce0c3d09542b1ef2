"""A recorded step put in order for a machine: what is computed together, what waits for a product, what is kept.

A program is a list of levels. A level begins with its matrix products; then comes elementwise work on all units of a
row, a pass for each width; what a later level reads is put down in memory. The plain LSTM has one level, a
layer-normalised one several, because a mean is known only when all units are.

Kept for the backward pass is what it reads and cannot have otherwise: the results of the gates' functions rather than
their pre-activations, so that no exponential is computed twice; nothing that is a state anyway or follows from states.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from recurra.engine.trace.operations import CONDITIONS, Op, Value
from recurra.engine.trace.schedule import Product, Program, Schedule, StoreWidths
from recurra.engine.trace.tracer import Recorded

_CHEAP = {
    "add", "sub", "rsub", "mul", "neg", "abs", "where", "relu", "maximum", "minimum", "sign",
    "le", "lt", "ge", "gt", "eq", "ne", "and", "or", "not", "reciprocal", "div", "rsqrt", "sqrt", "sum",
}  # fmt: skip


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
    forward_stores = {name: value for name, value in made.items() if name[:2] != "v."}
    forward_stores |= {f"kept.{value}": value for value in (*kept, *operands)}
    first = []
    for number, cut in enumerate(recorded.cuts):
        operand = f"kept.{made[cut.operand]}" if cut.operand in made else cut.operand
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
    store_widths = StoreWidths(recorded)
    again = {value: f"kept.{value}" for value in (*kept, *operands)} | free | {name: f"rk.{name}" for name in kept_sums}
    return Programs(
        recorded,
        summed,
        tuple(dict.fromkeys([*operands, *kept])),
        kept_sums,
        Schedule(operations, widths, {}, forward_stores, first, store_widths).program(),
        Schedule(operations, widths, again, {**block_stores, **others}, back, store_widths).program(),
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
            stored |= missing if len(missing) == 1 or operations[name].kind in CONDITIONS else {name}
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
