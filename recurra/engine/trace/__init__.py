"""A cell's step and what stands around it, written down as elementwise operations, forward and backward."""

from recurra.engine.trace.operations import Op, Untraceable, Value
from recurra.engine.trace.program import Programs, plan
from recurra.engine.trace.programs import Traced, traced
from recurra.engine.trace.schedule import Pass, Product, Program
from recurra.engine.trace.signature import Outline, Signature
from recurra.engine.trace.tracer import Cut, Recorded, Subject, Variant, record

__all__ = [
    "Cut",
    "Op",
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
    "traced",
]
