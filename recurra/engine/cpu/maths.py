"""The elementwise operations as vectors: one function for each kind that a traced formula may hold."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from recurra.engine.cpu.code import I32, Code
from recurra.engine.trace import Op

# exp on [-ln2/2, ln2/2]: Taylor's series to x⁷/7!; the next term is 5e-9 of the result.
_EXP = (1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0)
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4  # ln 2 in two parts: the first times a whole number is exact
# tanh x = x A(x²) / B(x²) up to 9, beyond which the nearest number of float32 is 1. The coefficients are a fit by least
# squares, reweighted until the largest relative error was least, 2e-8 before rounding; highest power first.
_TANH_END = 9.0
_TANH_ABOVE = (1.3354545025379139e-08, 2.0608995328075252e-05, 0.0034955828450620174, 0.13381020724773407, 1.0)
_TANH_BELOW = (7.776509960422118e-07, 0.0003285626007709652, 0.025876961648464203, 0.46714335680007935, 1.0)
# log m = 2 artanh s, s = (m - 1) / (m + 1), for m from √½ to √2: odd series to s⁹; the next term is 1e-9.
_LOG = (2 / 9, 2 / 7, 2 / 5, 2 / 3)


def evaluate(code: Code, op: Op, *arguments: Any) -> Any:
    """One operation on vectors."""
    return rule(op.kind)(code, *arguments)


def rule(kind: str) -> Callable[..., Any]:
    """The function of a kind of operation: of `Code` and vectors."""
    return _RULES[kind]


def exp(code: Code, x: Any) -> Any:
    """The exponential; in float32 within 2e-7 of it, 0 below -104, infinity above 88.73, NaN of NaN."""
    if code.shape.bits == 64:
        return _by_lane(code, "exp", x)
    b = code.b
    result, n = _reduced(code, x, -105.0, 89.0)
    # In two halves: 2ⁿ itself would be beyond the normal numbers where the result still is not.
    half = b.ashr(n, ir.Constant(code.integers, [1] * code.shape.width))
    return b.fmul(b.fmul(result, _power_of_2(code, half)), _power_of_2(code, b.sub(n, half)))


def _reduced(code: Code, x: Any, low: float, high: float) -> tuple[Any, Any]:
    """A number near 1 and a whole number n with e^x = that · 2ⁿ, for x held within two ends."""
    b = code.b
    held = _select(code, "<", x, low, code.const(low), x)
    held = _select(code, ">", held, high, code.const(high), held)
    n = code.call("llvm.floor", code.fma(held, code.const(1.4426950408889634), code.const(0.5)))
    r = code.fma(n, code.const(-_LN2_HIGH), held)
    r = code.fma(n, code.const(-_LN2_LOW), r)
    result = code.const(_EXP[0])
    for c in _EXP[1:]:
        result = code.fma(result, r, code.const(c))
    # A NaN gives n = 0, and stays NaN by the polynomial.
    return result, b.fptosi(b.select(b.fcmp_ordered("==", n, n), n, code.const(0.0)), code.integers)


def _power_of_2(code: Code, n: Any) -> Any:
    """2ⁿ for n from -126 to 127: n into the exponent's bits."""
    bias = ir.Constant(code.integers, [127] * code.shape.width)
    shift = ir.Constant(code.integers, [23] * code.shape.width)
    return code.b.bitcast(code.b.shl(code.b.add(n, bias), shift), code.vector)


def tanh(code: Code, x: Any) -> Any:
    """Tanh x; in float32 within 4e-7 of it, never beyond ±1, NaN of NaN."""
    if code.shape.bits == 64:
        return _by_lane(code, "tanh", x)
    b = code.b
    held = _held(code, x, _TANH_END)
    x2 = b.fmul(held, held)
    above, below = (code.const(series[0]) for series in (_TANH_ABOVE, _TANH_BELOW))
    for c in _TANH_ABOVE[1:]:
        above = code.fma(above, x2, code.const(c))
    for c in _TANH_BELOW[1:]:
        below = code.fma(below, x2, code.const(c))
    return _held(code, b.fdiv(b.fmul(held, above), below), 1.0)


def sigmoid(code: Code, x: Any) -> Any:
    """1 / (1 + exp(-x)); in float32 within 2e-7 of it, from 0 to 1, NaN of NaN."""
    half, one = code.const(0.5), code.const(1.0)
    if code.shape.bits == 64:
        return code.b.fdiv(one, code.b.fadd(one, exp(code, code.b.fneg(x))))
    return code.fma(half, tanh(code, code.b.fmul(half, x)), half)


def _held(code: Code, x: Any, end: float) -> Any:
    """X, or the end beyond which it lies, of ±end; NaN stays NaN."""
    x = _select(code, "<", x, -end, code.const(-end), x)
    return _select(code, ">", x, end, code.const(end), x)


def log(code: Code, x: Any) -> Any:
    """The logarithm; in float32 within 2e-7 of it, -infinity of 0, NaN below; subnormal numbers count as 0."""
    if code.shape.bits == 64:
        return _by_lane(code, "log", x)
    b, integers = code.b, code.integers

    def whole(value: int) -> Any:
        return ir.Constant(integers, [value] * code.shape.width)

    # x = m · 2ⁿ with m from √½ to √2: n are the exponent's bits after √½'s are taken off.
    bits = b.sub(b.bitcast(x, integers), whole(0x3F3504F3))
    n = b.sitofp(b.ashr(bits, whole(23)), code.vector)
    m = b.bitcast(b.add(b.and_(bits, whole(0x7FFFFF)), whole(0x3F3504F3)), code.vector)
    s = b.fdiv(b.fsub(m, code.const(1.0)), b.fadd(m, code.const(1.0)))
    s2, series = b.fmul(s, s), code.const(_LOG[0])
    for c in _LOG[1:]:
        series = code.fma(series, s2, code.const(c))
    near = code.fma(b.fmul(series, s2), s, b.fadd(s, s))
    result = code.fma(n, code.const(_LN2_HIGH), code.fma(n, code.const(_LN2_LOW), near))
    result = _select(code, "<", x, 1.1754943508222875e-38, code.const(-math.inf), result)
    result = _select(code, "<", x, 0.0, code.const(math.nan), result)
    return b.select(b.fcmp_unordered(">=", x, code.const(math.inf)), x, result)  # infinity and NaN


def log1p(code: Code, x: Any) -> Any:
    """Log (1 + x), to the last places of a small x too."""
    if code.shape.bits == 64:
        return _by_lane(code, "log1p", x)
    b, one = code.b, code.const(1.0)
    u = b.fadd(one, x)
    # What rounding took from u is put back by the quotient (Kahan): log u / (u - 1) changes slowly around 1.
    result = b.fmul(log(code, u), b.fdiv(x, b.fsub(u, one)))
    result = b.select(b.fcmp_ordered("==", u, one), x, result)
    return b.select(b.fcmp_ordered("==", x, code.const(math.inf)), x, result)


def expm1(code: Code, x: Any) -> Any:
    """Exp x - 1, to the last places of a small x too."""
    if code.shape.bits == 64:
        return _by_lane(code, "expm1", x)
    b, one = code.b, code.const(1.0)
    u = exp(code, x)
    less = b.fsub(u, one)
    result = b.fmul(less, b.fdiv(x, log(code, u)))
    result = b.select(b.fcmp_ordered("==", u, one), x, result)
    far = b.or_(b.fcmp_ordered(">", x, code.const(20.0)), b.fcmp_ordered("<", x, code.const(-20.0)))
    return b.select(far, less, result)


def _library(name: str, code: Code, x: Any) -> Any:
    return _by_lane(code, name if code.shape.bits == 64 else name + "f", x)


def _by_lane(code: Code, name: str, x: Any) -> Any:
    """The C library's function, number by number: exact."""
    kind = ir.FunctionType(code.number, [code.number])
    function = code.b.module.globals.get(name) or ir.Function(code.b.module, kind, name)
    result: Any = ir.Constant(code.vector, ir.Undefined)
    for lane in range(code.shape.width):
        place = ir.Constant(I32, lane)
        result = code.b.insert_element(result, code.b.call(function, [code.b.extract_element(x, place)]), place)
    return result


def _select(code: Code, sign: str, x: Any, end: Any, yes: Any, no: Any, *, vector: bool = False) -> Any:
    """Yes where x (sign) end, in an ordered comparison: NaN takes no."""
    return code.b.select(code.b.fcmp_ordered(sign, x, end if vector else code.const(end)), yes, no)


def _compare(sign: str) -> Callable[..., Any]:
    def rule(code: Code, x: Any, y: Any) -> Any:
        return code.b.fcmp_unordered(sign, x, y) if sign == "!=" else code.b.fcmp_ordered(sign, x, y)

    return rule


def _extreme(sign: str) -> Callable[..., Any]:
    def rule(code: Code, x: Any, y: Any) -> Any:
        b = code.b
        chosen = b.select(b.fcmp_ordered(sign, x, y), x, y)
        return b.select(b.fcmp_unordered("!=", x, x), x, chosen)  # NaN of either side goes through

    return rule


def _relu(code: Code, x: Any) -> Any:
    return _select(code, "<", x, 0.0, code.const(0.0), x)


def _sign(code: Code, x: Any) -> Any:
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
    # Rare in cells, so that the C library's functions serve, number by number.
    **{name: functools.partial(_library, name) for name in ("erf", "sin", "cos", "tan", "atan", "sinh", "cosh")},
}
