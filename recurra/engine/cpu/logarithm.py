"""The logarithm as vectors: log and log1p. Errors are in ulp, as in exponential.py; float64 uses the C library."""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir

from recurra.engine.cpu.code import Code
from recurra.engine.cpu.exponential import LN2_HIGH, LN2_LOW, MANTISSA
from recurra.engine.cpu.scalar import call_library

# log m = 2 artanh s with s = (m - 1) / (m + 1), for m from √½ to √2: the odd series up to s⁹; the next term is 1e-9.
_SERIES = (2 / 9, 2 / 7, 2 / 5, 2 / 3)
_SMALLEST_NORMAL = 2.0**-126
_SQRT_HALF = 0x3F3504F3  # the bits of √½


def log(code: Code, x: Any) -> Any:
    """The logarithm: within 2 ulp, of subnormal numbers too; -infinity of 0, NaN below."""
    if code.shape.bits == 64:
        return call_library("log", code, x)
    b, integers = code.b, code.integers

    def whole(value: int) -> Any:
        return ir.Constant(integers, [value] * code.shape.width)

    # Subnormal numbers have no exponent: they are multiplied by 2²³, which is subtracted from n below.
    is_small = b.fcmp_ordered("<", x, code.const(_SMALLEST_NORMAL))
    normal = b.select(is_small, b.fmul(x, code.const(2.0**MANTISSA)), x)
    # normal = m · 2ⁿ with m from √½ to √2: n is the exponent of the bits after those of √½ are subtracted.
    bits = b.sub(b.bitcast(normal, integers), whole(_SQRT_HALF))
    n = b.sitofp(b.ashr(bits, whole(MANTISSA)), code.vector)
    n = b.fsub(n, b.select(is_small, code.const(float(MANTISSA)), code.const(0.0)))
    m = b.bitcast(b.add(b.and_(bits, whole(0x7FFFFF)), whole(_SQRT_HALF)), code.vector)
    s = b.fdiv(b.fsub(m, code.const(1.0)), b.fadd(m, code.const(1.0)))
    s2, series = b.fmul(s, s), code.const(_SERIES[0])
    for c in _SERIES[1:]:
        series = code.fma(series, s2, code.const(c))
    near = code.fma(b.fmul(series, s2), s, b.fadd(s, s))  # log m = 2 s + s³ (2/3 + 2/5 s² + …)
    result = code.fma(n, code.const(LN2_HIGH), code.fma(n, code.const(LN2_LOW), near))
    result = b.select(b.fcmp_ordered("==", x, code.const(0.0)), code.const(-math.inf), result)
    result = b.select(b.fcmp_ordered("<", x, code.const(0.0)), code.const(math.nan), result)
    return b.select(b.fcmp_unordered(">=", x, code.const(math.inf)), x, result)  # infinity and NaN


def log1p(code: Code, x: Any) -> Any:
    """Log (1 + x): within 2 ulp, of small x too; -infinity of -1, NaN below."""
    if code.shape.bits == 64:
        return call_library("log1p", code, x)
    b, one = code.b, code.const(1.0)
    u = b.fadd(one, x)
    # The rounding error of u, exactly: log(u + lost) = log u + lost / u. For infinity it is NaN and not used.
    lost = b.fsub(x, b.fsub(u, one))
    near = log(code, u)
    result = b.select(b.fcmp_ordered("!=", lost, code.const(0.0)), b.fadd(near, b.fdiv(lost, u)), near)
    return b.select(b.fcmp_ordered("==", u, one), x, result)  # so that -0 stays -0
