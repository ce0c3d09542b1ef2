"""Functions of the C library on vectors, number by number: slow but accurate, for functions that are rare in cells."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from recurra.engine.cpu.code import I32, Code


def library(name: str) -> Callable[..., Any]:
    """The rule for a function of the C library: `name` for double, `name` + "f" for float."""
    return functools.partial(call_library, name)


def call_library(name: str, code: Code, *vectors: Any) -> Any:
    """Calls the function `name` of the C library on each number of the vectors; within one ulp in glibc.

    Args:
        name: the name for double, such as "exp" or "atan2".
        code: the builder that writes the calls.
        *vectors: the arguments, each a vector.
    """
    number, width = code.number, code.shape.width
    symbol = name if code.shape.bits == 64 else name + "f"
    kind = ir.FunctionType(number, [number] * len(vectors))
    function = code.b.module.globals.get(symbol) or ir.Function(code.b.module, kind, symbol)
    result: Any = ir.Constant(code.vector, ir.Undefined)
    for lane in range(width):
        place = ir.Constant(I32, lane)
        value = code.b.call(function, [code.b.extract_element(vector, place) for vector in vectors])
        result = code.b.insert_element(result, value, place)
    return result
