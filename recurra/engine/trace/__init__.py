"""A cell's step and its wrappers as elementwise operations, forward and backward."""

from recurra.engine.trace.operand import Kind, Operand
from recurra.engine.trace.operations import Op, Untraceable, Value
from recurra.engine.trace.program import Programs, plan
from recurra.engine.trace.programs import Traced, traced
from recurra.engine.trace.schedule import Pass, Product, Program, store_width
from recurra.engine.trace.signature import Outline, Signature
from recurra.engine.trace.step_program import step_program
from recurra.engine.trace.subject import Subject
from recurra.engine.trace.tracer import Cut, Recorded, Variant, record

__all__ = [
    "Cut",
    "Kind",
    "Op",
    "Operand",
    "Outline",
    "Pass",
    "Product",
    "Program",
    "Programs",
    "Recorded",
    "Signature",
    "Subject",
    "Traced",
    "Untraceable",
    "Value",
    "Variant",
    "plan",
    "record",
    "step_program",
    "store_width",
    "traced",
]
