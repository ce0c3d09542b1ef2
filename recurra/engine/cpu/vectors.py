"""The elementwise part of a loop: a program's values for one row of the batch, a vector of units at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recurra.engine.cpu.code import Code
from recurra.engine.cpu.maths import evaluate
from recurra.engine.cpu.memory import Memory, Place
from recurra.engine.trace import Pass, Program, Value


@dataclass
class Step:
    """One step of a loop: where it lies in every array, and which rows this thread has."""

    code: Code
    program: Program
    memory: Memory
    base: dict[tuple[str, bool], Any]
    """Pointers to the step by array; of states the old one and the new."""
    order: Any
    first: Any
    apart: Any


class _Row:
    """Where one row lies in every array."""

    def __init__(self, step: Step, i: Any) -> None:
        code, b = step.code, step.code.b
        self._code = code
        number = b.add(step.first, b.mul(i, step.apart))
        self._place = {"packed": number, "batch": b.load(b.gep(step.order, [number]))}
        self._starts: dict[tuple[str, bool], Any] = {}
        for (array, after), base in step.base.items():
            kind, size = step.memory.kinds[array], step.memory.sizes[array]
            if kind in ("unit", "weights"):
                self._starts[array, after] = base
                continue
            place = self._place["packed" if kind == "packed" else "batch"]
            self._starts[array, after] = code.at(base, b.mul(place, code.index(size)))

    def address(self, place: Place, *offsets: Any) -> Any:
        """Of a place in this row."""
        return self._code.at(self._starts[place.array, place.after], place.offset, *offsets)


class Vectors:
    """The values of a program for one row, a vector of units at a time."""

    def __init__(self, step: Step, level: int, i: Any, one: Pass) -> None:
        self.level = level
        self.code, self.program, self.memory = step.code, step.program, step.memory
        self.rows = _Row(step, i)
        self._known: dict[str, Any] = {}
        self._of_row: dict[str, Any] = {}
        self._unit: Any = None
        self._lanes: int | None = None
        for name in _of_row(self.program, one, level):
            self._of_row[name] = self._compute(name)

    def run(self, one: Pass, unit: Any, lanes: int | None, sums: tuple[Any, ...] | list[Any]) -> list[Any]:
        """Stores what the pass stores and adds to its sums."""
        self.store(one, unit, lanes)
        added = []
        for name, total in zip(one.sums, sums, strict=True):
            value = self.value(self.program.operations[name].arguments[0])
            if lanes is not None:
                value = self.code.b.select(self.code.mask(lanes), value, self.code.const(0.0))
            added.append(self.code.b.fadd(total, value))
        return added

    def store(self, one: Pass, unit: Any, lanes: int | None) -> None:
        """Stores what the pass stores, from one unit on."""
        self._known, self._unit, self._lanes = {}, unit, lanes
        values = {name: self.value(value) for name, value in one.stores.items()}
        for name, value in values.items():
            address = self.rows.address(self.memory.places[name], unit)
            if name.partition(".")[0] in ("dp", "dgain", "dshift"):
                # A row of its own for each row of the batch: the rows are summed afterwards, in one order.
                value = self.code.b.fadd(self.code.load(address, lanes), value)
            self.code.store(value, address, lanes)

    def value(self, which: Value) -> Any:
        """A vector."""
        if isinstance(which, float):
            return self.code.const(which)
        if which in self._of_row:
            return self._of_row[which]
        if which not in self._known:
            self._known[which] = self._compute(which)
        return self._known[which]

    def _compute(self, name: str) -> Any:
        op = self.program.operations.get(name)
        if name in self.program.loads:
            memory = self.program.loads[name]
            return self._load(f"r.{name}" if memory.startswith("rk.") else memory)
        if op is None:
            return self._load(name)
        if op.kind == "sum":
            return self._load(f"r.{name}")
        if self.program.is_ready(name, self.level):
            return self._load(f"t.{name}")
        return evaluate(self.code, op, *(self.value(argument) for argument in op.arguments))

    def _load(self, name: str) -> Any:
        place = self.memory.places[name]
        if name[:2] == "r.":
            return self.code.splat(self.code.b.load(self.rows.address(place)))
        found = self.code.load(self.rows.address(place, self._unit), self._lanes)
        bias = self.memory.places.get(f"bias.{name[2:]}") if place.array == "Z" else None
        if bias is not None:
            found = self.code.b.fadd(found, self.code.load(self.rows.address(bias, self._unit), self._lanes))
        if name == "d.h":
            dy = self.rows.address(self.memory.places["dY"], self._unit)
            found = self.code.b.fadd(found, self.code.load(dy, self._lanes))
        return found


def _of_row(program: Program, one: Pass, level: int) -> list[str]:
    """The values of which a row has one number, that a pass reads."""
    todo: list[Value] = [*one.stores.values(), *(program.operations[name].arguments[0] for name in one.sums)]
    found: dict[str, None] = {}
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if not isinstance(name, str) or name in seen or name not in program.operations:
            continue
        seen.add(name)
        op = program.operations[name]
        if op.width == 0:
            found[name] = None
        elif name not in program.loads and not program.is_ready(name, level):
            todo += op.arguments
    return list(found)
