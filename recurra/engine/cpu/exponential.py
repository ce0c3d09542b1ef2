"""The exponential and related functions on vectors: exp, expm1, sigmoid, tanh.

All reduce their argument to x = n ln 2 + r with an integer n and |r| <= ln 2 / 2, and multiply a short series in r by
2ⁿ. Errors are stated in ulp: units of float32's spacing at the exact result, 2⁻¹⁴⁹ where that is subnormal.
They hold for all numbers of float32 (`tests/engine/test_maths.py`). float64 uses the C library's functions.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir

from recurra.engine.cpu.code import Code
from recurra.engine.cpu.scalar import call_library

# (exp r - 1 - r) / r² on ±ln2/2, highest power first: r + r² (...) is exp r - 1 within 1.4e-8 of it.
_SERIES = (0.0013882516535788, 0.0083665472176033, 0.0416672007135903, 0.1666654344363200, 0.4999999814960637)
# exp r = (v + r) / (v - r), v = r coth(r / 2) = 2 + r² (... + r² ...): the largest relative error is 5e-10.
_COTH = (-0.0027659842350983, 0.1666661772994987)
# ln 2 in two parts. The first has few enough bits that its product with n is exact.
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4
# ln 2 as the nearest float32 and the remainder, whose product with n is added late, off the longest dependency chain.
_LN2, _LN2_REST = 0.693147182464599609375, math.log(2) - 0.693147182464599609375
_LOG2_E = 1.4426950408889634
# A float32 above 2²³ has no fractional bits: adding it rounds to an integer, which the last bits of the sum hold.
_ROUNDER = 1.5 * 2.0**23
MANTISSA, _BIAS = 23, 127  # of float32: bits of the mantissa, and the exponent's bits of 2⁰


def exp(code: Code, x: Any) -> Any:
    """The exponential: within 1 ulp; 0 below -104, infinity above 88.73, NaN of NaN."""
    if code.shape.bits == 64:
        return call_library("exp", code, x)
    b = code.b
    bits, r = _reduced(code, clamp(code, x, -104.0, 89.0), 2 * _BIAS)
    series = _horner(code, r, (*_SERIES, 1.0, 1.0))
    # In two factors: 2ⁿ alone may overflow, or be subnormal, where the result is a normal number.
    half = b.ashr(bits, _integers(code, 1))
    return b.fmul(b.fmul(series, _power_of_2(code, half)), _power_of_2(code, b.sub(bits, half)))


def expm1(code: Code, x: Any) -> Any:
    """Exp x - 1: within 2 ulp, of small x too; -1 below -18, infinity above 88.73, NaN of NaN."""
    if code.shape.bits == 64:
        return call_library("expm1", code, x)
    b = code.b
    # Half of the result, because 2ⁿ may overflow where the result does not.
    bits, r = _reduced(code, clamp(code, x, -20.0, 89.0), _BIAS - 1)
    part = code.fma(b.fmul(r, r), _horner(code, r, _SERIES), r)
    scale = _power_of_2(code, bits)
    half = code.fma(scale, part, b.fsub(scale, code.const(0.5)))
    # Below 2⁻²⁵ the result is x to the last bit, -0 and subnormal numbers included.
    is_small = b.fcmp_ordered("<", code.call("llvm.fabs", x), code.const(2.0**-25))
    return b.select(is_small, x, b.fadd(half, half))


def sigmoid(code: Code, x: Any) -> Any:
    """1 / (1 + exp(-x)): within 3 ulp, of large negative x too, where it is exp x; never beyond 0 and 1, NaN of NaN."""
    b = code.b
    if code.shape.bits == 64:
        tail, one = call_library("exp", code, b.fneg(code.call("llvm.fabs", x))), code.const(1.0)
        return b.fdiv(b.select(b.fcmp_ordered("<", x, code.const(0.0)), tail, one), b.fadd(one, tail))
    # With exp r = above / below: σ = 2ⁿ above / (2ⁿ above + below). n reaches -150, so that both are multiplied by 2²⁴
    # and only the division rounds to subnormal numbers. Above 17.4 the nearest float32 is 1.
    shift = 24
    x = clamp(code, x, -104.0, 18.0)
    bits, n = _rounded(code, x, _LOG2_E, _BIAS + shift)
    r = code.fma(n, code.const(-_LN2), x)
    r2 = b.fmul(r, r)
    v = code.fma(r2, code.fma(r2, code.const(_COTH[0]), code.const(_COTH[1])), code.const(2.0))
    r = code.fma(n, code.const(-_LN2_REST), r)
    above = b.fmul(_power_of_2(code, bits), b.fadd(v, r))
    return b.fdiv(above, code.fma(b.fsub(v, r), code.const(2.0**shift), above))


def tanh(code: Code, x: Any) -> Any:
    """Tanh x: within 3 ulp, of small x too; never beyond ±1, NaN of NaN."""
    if code.shape.bits == 64:
        return call_library("tanh", code, x)
    b, one = code.b, code.const(1.0)
    # With 2 x = n ln 2 + 2 r and s = 2ⁿ: exp 2 x = s (v + r) / (v - r), v = r coth r, so that
    # tanh x = ((s - 1) v + (s + 1) r) / ((s + 1) v + (s - 1) r): no cancellation, and r / v where n = 0.
    x = clamp(code, x, -9.02, 9.02)  # beyond it the nearest float32 is ±1
    bits, n = _rounded(code, x, 2 * _LOG2_E, _BIAS)
    r = code.fma(n, code.const(-_LN2 / 2), x)
    r2 = b.fmul(r, r)
    v = code.fma(r2, code.fma(r2, code.const(8 * _COTH[0]), code.const(2 * _COTH[1])), one)
    s = _power_of_2(code, bits)
    less, more = b.fsub(one, s), b.fadd(one, s)  # 1 - s and not s - 1: for the sign of a zero
    above = code.fma(b.fneg(less), v, b.fmul(more, r))
    return b.fdiv(above, code.fma(more, v, b.fneg(b.fmul(less, r))))


def clamp(code: Code, x: Any, low: float, high: float) -> Any:
    """X limited to low … high; NaN stays NaN."""
    b = code.b
    x = b.select(b.fcmp_ordered("<", x, code.const(low)), code.const(low), x)
    return b.select(b.fcmp_ordered(">", x, code.const(high)), code.const(high), x)


def _rounded(code: Code, x: Any, factor: float, bias: int) -> tuple[Any, Any]:
    """Rounds x · factor to an integer n; returns n + bias in the low bits of integers, and n as a float."""
    rounder = code.const(_ROUNDER + bias)
    total = code.fma(x, code.const(factor), rounder)
    return code.b.bitcast(total, code.integers), code.b.fsub(total, rounder)


def _reduced(code: Code, x: Any, bias: int) -> tuple[Any, Any]:
    """For x = n ln 2 + r: n + bias in the low bits of integers, and r."""
    bits, n = _rounded(code, x, _LOG2_E, bias)
    # Cody-Waite reduction: n · high is exact, so that r has nearly full precision although x and n ln 2 are close.
    return bits, code.fma(n, code.const(-LN2_LOW), code.fma(n, code.const(-LN2_HIGH), x))


def _power_of_2(code: Code, bits: Any) -> Any:
    """2ⁿ from integers whose low nine bits are n + 127, 1 to 254: shifted into the exponent, the others drop out."""
    return code.b.bitcast(code.b.shl(bits, _integers(code, MANTISSA)), code.vector)


def _horner(code: Code, x: Any, coefficients: tuple[float, ...]) -> Any:
    """The polynomial of x, coefficients from the highest power to the lowest."""
    result = code.const(coefficients[0])
    for coefficient in coefficients[1:]:
        result = code.fma(result, x, code.const(coefficient))
    return result


def _integers(code: Code, value: int) -> ir.Constant:
    return ir.Constant(code.integers, [value] * code.shape.width)
