"""The elementwise part of a loop: a program's values for one row of the batch, a vector of units at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recurra.engine.cpu.code import Code
from recurra.engine.cpu.maths import evaluate
from recurra.engine.cpu.memory import D_Y, INPUT_PART, PER_STEP, Memory, Place
from recurra.engine.trace import Kind, Operand, Pass, Program, Value
from recurra.engine.trace.operand import D_NEW_H, D_PARAMETERS
from recurra.engine.trace.schedule import one_argument


@dataclass
class LoopStep:
    """One step of a loop: its address in every array, and the rows of this thread."""

    code: Code
    program: Program
    memory: Memory
    base: dict[tuple[str, bool], Any]
    """Pointers to the step by array and whether it is the new state: a state has an old and a new one."""
    order: Any
    first: Any
    row_step: Any


class _Row:
    """The address of one row in every array."""

    def __init__(self, step: LoopStep, i: Any) -> None:
        code, b = step.code, step.code.b
        self._code = code
        number = b.add(step.first, b.mul(i, step.row_step))
        self._number = {"packed": number, "batch": b.load(b.gep(step.order, [number]))}
        # Arrays with rows per step hold them by descending length, the others in the order of the batch.
        self._starts: dict[tuple[str, bool], Any] = {}
        for (array, after), base in step.base.items():
            layout, size, _ = step.memory.arrays[array]
            if layout in ("unit", "weights"):
                self._starts[array, after] = base
                continue
            row = self._number["packed" if layout in PER_STEP else "batch"]
            self._starts[array, after] = code.at(base, b.mul(row, code.index(size)))

    def address(self, place: Place, *offsets: Any) -> Any:
        """The address of a place in this row."""
        return self._code.at(self._starts[place.array, place.after], place.offset, *offsets)


class RowValues:
    """The values of a program for one row, a vector of units at a time."""

    def __init__(self, step: LoopStep, level: int, i: Any, pass_: Pass) -> None:
        self.level = level
        self.code, self.program, self.memory = step.code, step.program, step.memory
        self.rows = _Row(step, i)
        self._known: dict[Operand, Any] = {}
        self._of_row: dict[Operand, Any] = {}
        self._unit: Any = None
        self._lanes: int | None = None
        # Computed before the loop over units: a value with one number per row, such as a variance, is the same for all.
        for value in _of_row(self.program, pass_, level):
            self._of_row[value] = self._compute(value)

    def run(self, pass_: Pass, unit: Any, lanes: int | None, sums: tuple[Any, ...] | list[Any]) -> list[Any]:
        """Computes the stores of the pass and adds to its sums."""
        self.store(pass_, unit, lanes)
        added = []
        for result, total in zip(pass_.sums, sums, strict=True):
            value = self.value(one_argument(self.program.operations[result]))
            # Lanes past the last unit hold values of zeros, which need not be 0.
            if lanes is not None:
                value = self.code.b.select(self.code.mask(lanes), value, self.code.const(0.0))
            added.append(self.code.b.fadd(total, value))
        return added

    def store(self, pass_: Pass, unit: Any, lanes: int | None) -> None:
        """Computes the stores of the pass for the vector that begins at `unit`."""
        self._known, self._unit, self._lanes = {}, unit, lanes
        # All values before the first store: a store may overwrite an operand that another value reads.
        values = {operand: self.value(value) for operand, value in pass_.stores.items()}
        for operand, value in values.items():
            address = self.rows.address(self.memory.places[operand], unit)
            if operand.kind in D_PARAMETERS:
                # One accumulator per row of the batch, summed over the rows afterwards: the order of additions is then
                # the same for any number of threads.
                value = self.code.b.fadd(self.code.load(address, lanes), value)
            self.code.store(value, address, lanes)

    def value(self, which: Value) -> Any:
        """The vector of a value."""
        if isinstance(which, float):
            return self.code.const(which)
        if which in self._of_row:
            return self._of_row[which]
        if which not in self._known:
            self._known[which] = self._compute(which)
        return self._known[which]

    def _compute(self, value: Operand) -> Any:
        """Loads a value that is stored in memory, or computes it by its operation."""
        op = self.program.operations.get(value)
        if value in self.program.loads:
            operand = self.program.loads[value]
            return self._load_sum(value) if operand.kind is Kind.KEPT_SUM else self._load(operand)
        if op is None:
            return self._load(value)
        if op.kind == "sum":
            return self._load_sum(value)
        if self.program.is_ready(value, self.level):
            return self._load(Operand(Kind.TEMPORARY, value))
        return evaluate(self.code, op, *(self.value(argument) for argument in op.arguments))

    def _load_sum(self, total: Operand) -> Any:
        """The sum of a row, in all lanes."""
        place = self.memory.places[Operand(Kind.ROW_SUM, total)]
        return self.code.splat(self.code.b.load(self.rows.address(place)))

    def _load(self, operand: Operand) -> Any:
        place = self.memory.places[operand]
        vector = self.code.load(self.rows.address(place, self._unit), self._lanes)
        if place.array == INPUT_PART:
            # The bias is added when the number is read: adding it to the array would take another pass over memory.
            bias = self.memory.places.get(Operand(Kind.INPUT_BIAS, operand.name))
            if bias is not None:
                vector = self.code.b.fadd(vector, self.code.load(self.rows.address(bias, self._unit), self._lanes))
        # h reaches the loss by the next step, which stored its derivative, and by y.
        if operand == D_NEW_H:
            dy = self.rows.address(self.memory.places[D_Y], self._unit)
            vector = self.code.b.fadd(vector, self.code.load(dy, self._lanes))
        return vector


def _of_row(program: Program, pass_: Pass, level: int) -> list[Operand]:
    """The values with one number per row that a pass reads."""
    todo: list[Value] = [*pass_.stores.values(), *(one_argument(program.operations[total]) for total in pass_.sums)]
    of_row: dict[Operand, None] = {}
    seen: set[Operand] = set()
    while todo:
        value = todo.pop()
        if not isinstance(value, Operand) or value in seen or value not in program.operations:
            continue
        seen.add(value)
        op = program.operations[value]
        if op.width == 0:
            of_row[value] = None
        elif value not in program.loads and not program.is_ready(value, level):
            todo += op.arguments
    return list(of_row)
