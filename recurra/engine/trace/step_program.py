"""The forward program of a step that runs alone: nothing is kept for a backward pass."""

from __future__ import annotations

from recurra.engine.trace.operand import Kind, Operand
from recurra.engine.trace.operations import Value
from recurra.engine.trace.program import Programs
from recurra.engine.trace.schedule import Program, Schedule


def step_program(programs: Programs) -> Program:
    """Plans the forward step again, with only the stores that the step itself needs."""
    recorded = programs.recorded
    results = (Kind.NEW_STATE, Kind.GATE)
    stores: dict[Operand, Value] = {o: value for o, value in recorded.outputs.items() if o.kind in results}
    # The inputs of products are under the names that the products of the planned program read.
    for value in programs.product_inputs.values():
        if value.kind is Kind.KEPT:
            stores[value] = value.of
    return Schedule(recorded, {}, stores, programs.forward.products).program()
