"""The elementwise operations on vectors: one function for each kind that a traced formula may contain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from recurra.engine.cpu.code import Code
from recurra.engine.cpu.exponential import exp, expm1, sigmoid, tanh
from recurra.engine.cpu.logarithm import log, log1p
from recurra.engine.cpu.scalar import library
from recurra.engine.trace import Op

# Rare in cells, so that the slower functions of the C library suffice.
_LIBRARY = (
    "erf", "erfc", "exp2", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh",
    "acosh", "atanh", "pow", "atan2", "hypot", "fmod",
)  # fmt: skip


def evaluate(code: Code, op: Op, *arguments: Any) -> Any:
    """One operation on vectors."""
    return rule(op.kind)(code, *arguments)


def rule(kind: str) -> Callable[..., Any]:
    """The function of a kind of operation, whose arguments are a `Code` and vectors."""
    return _RULES[kind]


def _select(code: Code, sign: str, x: Any, end: float, yes: Any, no: Any) -> Any:
    """`yes` where x (sign) end, else `no`; NaN selects `no`."""
    return code.b.select(code.b.fcmp_ordered(sign, x, code.const(end)), yes, no)


def _compare(sign: str) -> Callable[..., Any]:
    def rule(code: Code, x: Any, y: Any) -> Any:
        return code.b.fcmp_unordered(sign, x, y) if sign == "!=" else code.b.fcmp_ordered(sign, x, y)

    return rule


def _extreme(sign: str) -> Callable[..., Any]:
    def rule(code: Code, x: Any, y: Any) -> Any:
        b = code.b
        chosen = b.select(b.fcmp_ordered(sign, x, y), x, y)
        return b.select(b.fcmp_unordered("!=", x, x), x, chosen)  # NaN of either argument is returned

    return rule


def _relu(code: Code, x: Any) -> Any:
    return _select(code, "<", x, 0.0, code.const(0.0), x)


def _sign(code: Code, x: Any) -> Any:
    # 0 of NaN, as in PyTorch.
    positive = _select(code, ">", x, 0.0, code.const(1.0), code.const(0.0))
    return _select(code, "<", x, 0.0, code.const(-1.0), positive)


_RULES: dict[str, Callable[..., Any]] = {
    "add": lambda code, x, y: code.b.fadd(x, y),
    "sub": lambda code, x, y: code.b.fsub(x, y),
    "rsub": lambda code, x, y: code.b.fsub(y, x),
    "mul": lambda code, x, y: code.b.fmul(x, y),
    "div": lambda code, x, y: code.b.fdiv(x, y),
    "neg": lambda code, x: code.b.fneg(x),
    "reciprocal": lambda code, x: code.b.fdiv(code.const(1.0), x),
    "abs": lambda code, x: code.call("llvm.fabs", x),
    "sqrt": lambda code, x: code.call("llvm.sqrt", x),
    "rsqrt": lambda code, x: code.b.fdiv(code.const(1.0), code.call("llvm.sqrt", x)),
    "floor": lambda code, x: code.call("llvm.floor", x),
    "ceil": lambda code, x: code.call("llvm.ceil", x),
    "trunc": lambda code, x: code.call("llvm.trunc", x),
    "round": lambda code, x: code.call("llvm.nearbyint", x),  # halves to even, as in PyTorch
    "copysign": lambda code, x, y: code.call("llvm.copysign", x, y),
    "log": log,
    "log1p": log1p,
    "expm1": expm1,
    "sign": _sign,
    "exp": exp,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "relu": _relu,
    "maximum": _extreme(">"),
    "minimum": _extreme("<"),
    "where": lambda code, condition, x, y: code.b.select(condition, x, y),
    "le": _compare("<="),
    "lt": _compare("<"),
    "ge": _compare(">="),
    "gt": _compare(">"),
    "eq": _compare("=="),
    "ne": _compare("!="),
    "and": lambda code, x, y: code.b.and_(x, y),
    "or": lambda code, x, y: code.b.or_(x, y),
    "not": lambda code, x: code.b.not_(x),
    **{name: library(name) for name in _LIBRARY},
}
