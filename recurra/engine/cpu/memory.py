"""The memory of the loops: the array and the offset of every operand of a program.

Layouts of arrays, for T steps, B rows, and n numbers in a row:
  packed   (rows with a step, n), step by step without the rows that have ended: gates, kept values, derivatives, masks
  state    (B + rows with a step, n): T + 1 levels, the states of all rows before the first step, and after each step
           (in reverse before it) those of the rows that have it; initial states are where a row begins
  row      (B, n)
  unit     (n,)
  weights  a packed matrix
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from recurra.engine.trace import Outline, Programs, Variant, store_width
from recurra.engine.trace.operand import PARAMETERS, Kind, Operand

INPUT_PART = "Z"
"""The array of the input's pre-activations, gate by gate."""
INPUT_BIAS = "bias"
D_Y = "dY"
"""The derivative with respect to y."""
PER_STEP = frozenset({"packed", "state"})
"""Layouts with rows per step, by descending length."""
ZERO = "zero"
"""Zeros, the initial sums of products without a bias."""
_READ_BY_ROW = frozenset({Kind.D_INPUT, Kind.D_RECURRENT, Kind.D_PROJECTED})
"""Derivatives of pre-activations, of which the gradients of weights are products."""


class Place(NamedTuple):
    """The array of an operand and its offset in a row."""

    array: str
    offset: int = 0
    after: bool = False
    """Whether it is the new state of a state array."""


class Array(NamedTuple):
    """One argument of a loop."""

    layout: str
    size: int
    """Numbers in a row."""
    holds: Kind | None
    """The kind of the operands in it; None if the array holds no operand."""


@dataclass
class Memory:
    """The arrays of a loop in the order of its arguments, and the places of operands."""

    arrays: dict[str, Array] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    """Units of each operand."""

    def add(self, array: str, layout: str, operands: Iterable[tuple[str, int]]) -> None:
        """Adds an array of operands, each with its width, in their order."""
        offset, holds = 0, None
        for operand, width in operands:
            self.places[operand], self.widths[operand] = Place(array, offset), width
            offset += width
            holds = operand.kind if isinstance(operand, Operand) else None
        # Without operands there is no array, and the loop has no argument for it.
        if offset:
            self.arrays[array] = Array(layout, offset, holds)

    def add_one(self, operand: str, layout: str, width: int) -> None:
        """Adds an array of one operand, with its name."""
        self.add(operand, layout, [(operand, width)])

    def alias(self, operand: Operand, other: Operand) -> None:
        """Gives an operand the place of another one."""
        self.places[operand], self.widths[operand] = self.places[other], self.widths[other]

    def size(self, array: str) -> int:
        """Numbers in a row of an array."""
        return self.arrays[array].size

    def holding(self, *kinds: Kind) -> list[str]:
        """The arrays that hold operands of these kinds."""
        return [name for name, array in self.arrays.items() if array.holds in kinds]

    @property
    def kept(self) -> list[str]:
        """The arrays of the values that are kept for the backward pass."""
        return self.holding(Kind.KEPT, Kind.KEPT_SUM)

    @property
    def derivatives(self) -> list[str]:
        """The arrays of the derivatives of pre-activations."""
        return self.holding(*_READ_BY_ROW)


@dataclass(frozen=True)
class Memories:
    """The memory of both loops."""

    forward: Memory
    backward: Memory


def lay_out(cell: Outline, variant: Variant, programs: Programs) -> Memories:
    """The arrays of a cell's loops."""
    forward, backward = Memory(), Memory()
    _lay_out_pre_activations(forward, cell, variant, programs)
    for memory in (forward, backward):
        _lay_out_shared(memory, cell, variant, programs)
    _lay_out_products(forward, programs)
    forward.add("r", "row", [(Operand(Kind.ROW_SUM, total), 1) for total in _own_sums(programs, forward=True)])
    _lay_out_temporaries(forward, programs, forward_pass=True)
    for gate in cell.formula.shown if variant.shown else ():
        forward.add_one(Operand(Kind.GATE, gate), "packed", variant.hidden)
    _lay_out_derivatives(backward, cell, variant, programs)
    for product in programs.forward.products:
        size = variant.projected if product.outputs[0].kind is Kind.PROJECTED else variant.hidden
        starts = [(Operand(Kind.PRODUCT_START, output), size) for output in product.outputs]
        forward.add(f"b{product.cut}", "unit", starts)
        forward.add_one(weights_of(product.cut), "weights", 1)
    for product in programs.backward.products:
        backward.add_one(weights_of(product.cut), "weights", 1)
    backward.add_one(ZERO, "unit", max(variant.hidden, variant.projected))
    return Memories(forward, backward)


def weights_of(cut: int) -> str:
    """The array of the packed matrix of a product."""
    return f"W{cut}"


def _lay_out_pre_activations(memory: Memory, cell: Outline, variant: Variant, programs: Programs) -> None:
    """The input's pre-activations and their bias."""
    memory.add(INPUT_PART, "packed", [(Operand(Kind.INPUT, gate), variant.hidden) for gate in cell.gates])
    if variant.bias and not variant.normalised:
        biases = [(Operand(Kind.INPUT_BIAS, gate), variant.hidden) for gate in cell.gates]
        memory.add(INPUT_BIAS, "unit", biases)
    # The product of such a gate is added to x's pre-activation in place.
    for gate in programs.summed:
        memory.alias(Operand(Kind.PREACTIVATION, gate), Operand(Kind.INPUT, gate))


def _lay_out_products(memory: Memory, programs: Programs) -> None:
    """The outputs of products that are not added to the input's pre-activations."""
    widths = programs.recorded.widths
    outputs = [output for cut in programs.recorded.cuts for output in cut.outputs]
    separate = [output for output in outputs if output.kind is Kind.PROJECTED or output.name not in programs.summed]
    _add_by_width(memory, "C", "row", [(output, widths[output]) for output in separate])


def _lay_out_shared(memory: Memory, cell: Outline, variant: Variant, programs: Programs) -> None:
    """The arrays that both loops read: kept values, states, masks, vectors."""
    widths = programs.recorded.widths
    _add_by_width(memory, "kept", "packed", [(Operand(Kind.KEPT, value), widths[value]) for value in programs.kept])
    memory.add("R", "packed", [(Operand(Kind.KEPT_SUM, total), 1) for total in programs.kept_sums])
    # Both loops use the kept sum itself: it is written by the forward loop and read by the backward loop.
    for total in programs.kept_sums:
        memory.alias(Operand(Kind.ROW_SUM, total), Operand(Kind.KEPT_SUM, total))
    for name in cell.states:
        state = Operand(Kind.STATE, name)
        memory.add_one(state, "state", widths[state])
        memory.places[Operand(Kind.NEW_STATE, name)] = Place(state, 0, after=True)
    for operand, width in widths.items():
        if operand.kind in PARAMETERS:
            memory.add_one(operand, "unit", width)
    if variant.dropped:
        mask = Operand(Kind.DROPOUT_MASK, "h")
        memory.add_one(mask, "row", widths[mask])
    for name, zoned in zip(cell.states, variant.zoned, strict=False):
        if zoned:
            mask = Operand(Kind.ZONEOUT_MASK, name)
            memory.add_one(mask, "packed" if zoned == "step" else "unit", widths[mask])


def _lay_out_derivatives(memory: Memory, cell: Outline, variant: Variant, programs: Programs) -> None:
    """The arrays that only the backward loop reads and writes."""
    widths = programs.recorded.widths
    memory.add_one(D_Y, "packed", widths[Operand(Kind.STATE, "h")])
    for gate in cell.formula.shown if variant.shown else ():
        memory.add_one(Operand(Kind.D_GATE, gate), "packed", variant.hidden)
    for name in cell.states:
        memory.add_one(Operand(Kind.D_NEW_STATE, name), "row", widths[Operand(Kind.STATE, name)])
    for operand, width in widths.items():
        if operand.kind is Kind.D_PRODUCT_INPUT:
            memory.add_one(operand, "row", width)
        elif operand.kind in PARAMETERS:
            memory.add_one(operand.derivative, "row", width)
    # In the order of the gates: adjacent derivatives are one operand of the products for the gradients of weights.
    blocks = dict.fromkeys(programs.blocks.values())
    _add_by_width(memory, "D", "packed", [(block, store_width(widths, block)) for block in blocks])
    memory.add("r", "row", [(Operand(Kind.ROW_SUM, total), 1) for total in _own_sums(programs, forward=False)])
    _lay_out_temporaries(memory, programs, forward_pass=False)


def _own_sums(programs: Programs, *, forward: bool) -> list[Operand]:
    """The sums that only this loop computes."""
    program = programs.forward if forward else programs.backward
    sums = (total for level in program.levels for pass_ in level for total in pass_.sums)
    return [total for total in dict.fromkeys(sums) if total not in programs.kept_sums]


def _lay_out_temporaries(memory: Memory, programs: Programs, *, forward_pass: bool) -> None:
    """The values that one level of a step stores for a later one."""
    program = programs.forward if forward_pass else programs.backward
    stores = (operand for level in program.levels for pass_ in level for operand in pass_.stores)
    temporaries = [operand for operand in dict.fromkeys(stores) if operand.kind is Kind.TEMPORARY]
    _add_by_width(memory, "T", "row", [(operand, programs.recorded.widths[operand.of]) for operand in temporaries])


def _add_by_width(memory: Memory, prefix: str, layout: str, operands: Sequence[tuple[Operand, int]]) -> None:
    """Adds an array for each width, so that a product or a pass runs over operands of one width."""
    for width in sorted({width for _, width in operands}):
        memory.add(f"{prefix}{width}", layout, [(operand, size) for operand, size in operands if size == width])
