"""The memory of a step of one layer: the array and the offset of every operand of its program.

All arrays are (B, n) with a row for each row of the batch, or (n,) for parameters, which are read where they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from recurra.engine.cpu.memory import INPUT_PART, Memory
from recurra.engine.trace import Kind, Operand, Outline, Program, Programs, Variant
from recurra.engine.trace.operand import PARAMETERS


def lay_out_step(cell: Outline, variant: Variant, programs: Programs, program: Program) -> Memory:
    """The arrays of the step of a cell."""
    memory, widths = Memory(), programs.recorded.widths
    memory.add(INPUT_PART, "row", [(Operand(Kind.INPUT, gate), variant.hidden) for gate in cell.gates])
    # The product of such a gate is added to the pre-activation of the input in place.
    for gate in programs.summed:
        memory.alias(Operand(Kind.PREACTIVATION, gate), Operand(Kind.INPUT, gate))
    outputs = [output for cut in programs.recorded.cuts for output in cut.outputs]
    separate = [output for output in outputs if output.kind is Kind.PROJECTED or output.name not in programs.summed]
    _add_by_width(memory, "C", [(output, widths[output]) for output in separate])
    for name in cell.states:
        # The old and the new state are separate, because a later level may read the old one.
        memory.add_one(Operand(Kind.STATE, name), "row", widths[Operand(Kind.STATE, name)])
        memory.add_one(Operand(Kind.NEW_STATE, name), "row", widths[Operand(Kind.STATE, name)])
    stores = dict.fromkeys(operand for level in program.levels for pass_ in level for operand in pass_.stores)
    stored = [operand for operand in stores if operand.kind in (Kind.TEMPORARY, Kind.KEPT)]
    _add_by_width(memory, "T", [(operand, widths[operand.of]) for operand in stored])
    for gate in cell.formula.shown if variant.shown else ():
        memory.add_one(Operand(Kind.GATE, gate), "row", variant.hidden)
    sums = dict.fromkeys(total for level in program.levels for pass_ in level for total in pass_.sums)
    memory.add("r", "row", [(Operand(Kind.ROW_SUM, total), 1) for total in sums])
    for operand, width in widths.items():
        if operand.kind in PARAMETERS or operand.kind is Kind.ZONEOUT_MASK:
            memory.add_one(operand, "unit", width)
    return memory


def _add_by_width(memory: Memory, prefix: str, operands: Sequence[tuple[Operand, int]]) -> None:
    for width in sorted({width for _, width in operands}):
        memory.add(f"{prefix}{width}", "row", [(operand, size) for operand, size in operands if size == width])
