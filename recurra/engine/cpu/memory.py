"""Where everything lies that the loops read and write: an operand of a program to a place in an array.

Layouts of arrays, for T steps, B rows, and n numbers in a row:
  packed   (rows with a step, n), time after time, only rows that have not ended: gates, what is kept, derivatives
  state    (T + 1, B, n), the first (or the last, backwards in time) of them what the rows start from
  padded   (T, B, n)
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
"""The array of the input's pre-activations, one gate after the other."""
INPUT_BIAS = "bias"
D_Y = "dY"
"""The derivative with respect to y."""
ZERO = "zero"
"""Zeros, for sums of products that begin with nothing."""
_READ_BY_ROW = frozenset({Kind.D_INPUT, Kind.D_RECURRENT, Kind.D_PROJECTED})
"""Derivatives of pre-activations: the gradients of weights are products of them."""


class Place(NamedTuple):
    """Where the numbers of an operand lie in a row of an array."""

    array: str
    offset: int = 0
    after: bool = False
    """Of a state: the new one."""


class Array(NamedTuple):
    """One argument of a loop."""

    layout: str
    size: int
    """Numbers in a row."""
    holds: Kind | None
    """The kind of the operands in it; None for what is no operand."""


@dataclass
class Memory:
    """The arrays of a loop in the order of its arguments, and what lies where."""

    arrays: dict[str, Array] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    """Units of each operand."""

    def add(self, array: str, layout: str, operands: Iterable[tuple[str, int]]) -> None:
        """An array of operands one after the other, each with its width."""
        offset, holds = 0, None
        for operand, width in operands:
            self.places[operand], self.widths[operand] = Place(array, offset), width
            offset += width
            holds = operand.kind if isinstance(operand, Operand) else None
        if offset:
            self.arrays[array] = Array(layout, offset, holds)

    def add_one(self, operand: str, layout: str, width: int) -> None:
        """An array of one operand, under its name."""
        self.add(operand, layout, [(operand, width)])

    def alias(self, operand: Operand, other: Operand) -> None:
        """Another name for a place."""
        self.places[operand], self.widths[operand] = self.places[other], self.widths[other]

    def size(self, array: str) -> int:
        """Numbers in a row of an array."""
        return self.arrays[array].size

    def holding(self, *kinds: Kind) -> list[str]:
        """The arrays that hold operands of these kinds."""
        return [name for name, array in self.arrays.items() if array.holds in kinds]

    @property
    def kept(self) -> list[str]:
        """The arrays of what is kept for the backward pass."""
        return self.holding(Kind.KEPT, Kind.KEPT_SUM)

    @property
    def derivatives(self) -> list[str]:
        """The arrays of the derivatives of pre-activations."""
        return self.holding(*_READ_BY_ROW)


@dataclass(frozen=True)
class Memories:
    """Of both loops."""

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
        forward.add_one(Operand(Kind.GATE, gate), "padded", variant.hidden)
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
    """The input's pre-activations, and what is added to them."""
    memory.add(INPUT_PART, "packed", [(Operand(Kind.INPUT, gate), variant.hidden) for gate in cell.gates])
    if variant.bias and not variant.normalised:
        biases = [(Operand(Kind.INPUT_BIAS, gate), variant.hidden) for gate in cell.gates]
        memory.add(INPUT_BIAS, "unit", biases)
    for gate in programs.summed:
        memory.alias(Operand(Kind.PREACTIVATION, gate), Operand(Kind.INPUT, gate))


def _lay_out_products(memory: Memory, programs: Programs) -> None:
    """The outputs of products that are not added to the input's part."""
    widths = programs.recorded.widths
    outputs = [output for cut in programs.recorded.cuts for output in cut.outputs]
    apart = [output for output in outputs if output.kind is Kind.PROJECTED or output.name not in programs.summed]
    _add_by_width(memory, "C", "row", [(output, widths[output]) for output in apart])


def _lay_out_shared(memory: Memory, cell: Outline, variant: Variant, programs: Programs) -> None:
    """What both loops read: kept values, states, masks, vectors."""
    widths = programs.recorded.widths
    _add_by_width(memory, "kept", "packed", [(Operand(Kind.KEPT, value), widths[value]) for value in programs.kept])
    memory.add("R", "packed", [(Operand(Kind.KEPT_SUM, total), 1) for total in programs.kept_sums])
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
            memory.add_one(mask, "padded" if zoned == "step" else "unit", widths[mask])


def _lay_out_derivatives(memory: Memory, cell: Outline, variant: Variant, programs: Programs) -> None:
    """What the backward loop alone reads and writes."""
    widths = programs.recorded.widths
    memory.add_one(D_Y, "padded", widths[Operand(Kind.STATE, "h")])
    for gate in cell.formula.shown if variant.shown else ():
        memory.add_one(Operand(Kind.D_GATE, gate), "padded", variant.hidden)
    for name in cell.states:
        memory.add_one(Operand(Kind.D_NEW_STATE, name), "row", widths[Operand(Kind.STATE, name)])
    for operand, width in widths.items():
        if operand.kind is Kind.D_PRODUCT_INPUT:
            memory.add_one(operand, "row", width)
        elif operand.kind in PARAMETERS:
            memory.add_one(operand.derivative, "row", width)
    blocks = dict.fromkeys(programs.blocks.values())
    _add_by_width(memory, "D", "packed", [(block, store_width(widths, block)) for block in blocks])
    memory.add("r", "row", [(Operand(Kind.ROW_SUM, total), 1) for total in _own_sums(programs, forward=False)])
    _lay_out_temporaries(memory, programs, forward_pass=False)


def _own_sums(programs: Programs, *, forward: bool) -> list[Operand]:
    """Sums that only this loop computes."""
    program = programs.forward if forward else programs.backward
    sums = (total for level in program.levels for one in level for total in one.sums)
    return [total for total in dict.fromkeys(sums) if total not in programs.kept_sums]


def _lay_out_temporaries(memory: Memory, programs: Programs, *, forward_pass: bool) -> None:
    """What one level of a step leaves to a later one."""
    program = programs.forward if forward_pass else programs.backward
    stores = (operand for level in program.levels for one in level for operand in one.stores)
    temporaries = [operand for operand in dict.fromkeys(stores) if operand.kind is Kind.TEMPORARY]
    _add_by_width(memory, "T", "row", [(operand, programs.recorded.widths[operand.of]) for operand in temporaries])


def _add_by_width(memory: Memory, prefix: str, layout: str, operands: Sequence[tuple[Operand, int]]) -> None:
    """Adds an array for each width, so that a product or a pass runs over operands of one width."""
    for width in sorted({width for _, width in operands}):
        memory.add(f"{prefix}{width}", layout, [(operand, size) for operand, size in operands if size == width])
