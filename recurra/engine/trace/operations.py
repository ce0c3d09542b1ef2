"""The elementwise operations of a traced step, and the operators of PyTorch that they stand for."""

from __future__ import annotations

from typing import NamedTuple

from recurra.engine.trace.operand import Operand

Value = Operand | float
"""An input, the result of an earlier operation, or a number."""


class Op(NamedTuple):
    """`name = kind(arguments)`, elementwise; or the sum of its argument over all units of a row, kind "sum"."""

    name: Operand
    """The result."""
    kind: str
    arguments: tuple[Value, ...]
    width: int
    """Units of a row: H, or P for projected values; 0 for one number per row."""


class Untraceable(Exception):
    """The step has no compiled form; the message is the reason."""


OPERATORS = {
    "aten.add": "add", "aten.sub": "sub", "aten.rsub": "rsub", "aten.mul": "mul", "aten.div": "div",
    "aten.neg": "neg", "aten.reciprocal": "reciprocal", "aten.abs": "abs", "aten.sqrt": "sqrt", "aten.sign": "sign",
    "aten.sgn": "sign", "aten.rsqrt": "rsqrt", "aten.floor": "floor", "aten.exp": "exp", "aten.expm1": "expm1",
    "aten.log": "log", "aten.log1p": "log1p", "aten.sigmoid": "sigmoid", "aten.tanh": "tanh", "aten.relu": "relu",
    "aten.erf": "erf", "aten.sin": "sin", "aten.cos": "cos", "aten.tan": "tan", "aten.atan": "atan",
    "aten.sinh": "sinh", "aten.cosh": "cosh", "aten.asin": "asin", "aten.acos": "acos", "aten.asinh": "asinh",
    "aten.acosh": "acosh", "aten.atanh": "atanh", "aten.atan2": "atan2", "aten.erfc": "erfc", "aten.exp2": "exp2",
    "aten.log2": "log2", "aten.log10": "log10", "aten.hypot": "hypot", "aten.fmod": "fmod", "aten.ceil": "ceil",
    "aten.trunc": "trunc", "aten.round": "round", "aten.copysign": "copysign", "aten.pow": "pow",
    "aten.maximum": "maximum", "aten.minimum": "minimum", "aten.clamp_min": "maximum", "aten.clamp_max": "minimum",
    "aten.where": "where",
    "aten.le": "le", "aten.lt": "lt", "aten.ge": "ge", "aten.gt": "gt", "aten.eq": "eq", "aten.ne": "ne",
    "aten.logical_and": "and", "aten.logical_or": "or", "aten.logical_not": "not",
    "aten.bitwise_and": "and", "aten.bitwise_or": "or", "aten.bitwise_not": "not",
}  # fmt: skip
"""The kind of operation of each elementwise operator of PyTorch."""
KINDS = frozenset(OPERATORS.values()) | {"sum"}
"""All kinds of operations; a compiled engine has a rule for each."""
CONDITIONS = {"le", "lt", "ge", "gt", "eq", "ne", "and", "or", "not"}
"""The kinds whose result is True or False."""
