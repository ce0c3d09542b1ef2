"""A cell's step and what stands around it, written down as elementwise operations, forward and backward."""

from recurra.engine.trace.operations import Op, Untraceable, Value
from recurra.engine.trace.program import Programs, plan
from recurra.engine.trace.schedule import Pass, Product, Program
from recurra.engine.trace.tracer import Cut, Recorded, Variant, record

__all__ = [
    "Cut",
    "Op",
    "Pass",
    "Product",
    "Program",
    "Programs",
    "Recorded",
    "Untraceable",
    "Value",
    "Variant",
    "plan",
    "record",
]
