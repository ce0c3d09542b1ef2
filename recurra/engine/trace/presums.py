"""Replaces x + u by one operand for gates of which a formula reads only the sum: the product adds to x in place."""

from __future__ import annotations

from typing import NamedTuple

from recurra.engine.trace.operand import Kind, Operand
from recurra.engine.trace.operations import Op, Value
from recurra.engine.trace.tracer import Recorded


class Presummed(NamedTuple):
    """A recorded step without the additions x + u."""

    recorded: Recorded
    gates: tuple[str, ...]
    """The gates of the PREACTIVATION operands."""


def presum(recorded: Recorded) -> Presummed:
    """Replaces x + u by one operand if the formula reads nothing else of the gate's x and u."""
    readers = _readers(recorded)
    results = recorded.outputs.values()
    renamed: dict[Operand, Operand] = {}
    gates = []
    for operand in recorded.widths:
        if operand.kind is not Kind.RECURRENT:
            continue
        gate_input = Operand(Kind.INPUT, operand.name)
        if operand in results or gate_input in results:
            continue
        both = readers.get(operand, []) + readers.get(gate_input, [])
        # The operation that adds them is the only reader of both.
        if len(both) == 2 and both[0] is both[1] and both[0].kind == "add":
            gates.append(operand.name)
            renamed[both[0].name] = Operand(Kind.PREACTIVATION, operand.name)
    return Presummed(_with_renamed(recorded, renamed), tuple(gates))


def _readers(recorded: Recorded) -> dict[Operand, list[Op]]:
    """The operations that read each operand, twice if it is both arguments."""
    readers: dict[Operand, list[Op]] = {}
    for op in recorded.operations:
        for argument in op.arguments:
            if isinstance(argument, Operand):
                readers.setdefault(argument, []).append(op)
    return readers


def _with_renamed(recorded: Recorded, renamed: dict[Operand, Operand]) -> Recorded:
    """The step without the operations whose results are inputs now, under their new names."""

    def new_name(value: Value) -> Value:
        return renamed.get(value, value) if isinstance(value, Operand) else value

    kept = (op for op in recorded.operations if op.name not in renamed)
    return Recorded(
        tuple(op._replace(arguments=tuple(map(new_name, op.arguments))) for op in kept),
        recorded.widths | {new: recorded.widths[old] for old, new in renamed.items()},
        {operand: new_name(value) for operand, value in recorded.outputs.items()},
        recorded.cuts,
    )
