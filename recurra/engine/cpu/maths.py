"""The elementwise operations as vectors: one function for each kind that a traced formula may hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from recurra.engine.cpu.code import I32, Code
from recurra.engine.trace import Formula, Value

# exp on [-ln2/2, ln2/2]: Taylor's series to x⁷/7!; the next term is 5e-9 of the result.
_EXP = (1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0)
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4  # ln 2 in two parts: the first times a whole number is exact
# tanh near 0, where 1 - 2 / (exp(2x) + 1) would cancel: odd series to x⁹, for |x| < 0.3.
_TANH = (62 / 2835, -17 / 315, 2 / 15, -1 / 3)


def evaluate(code: Code, formula: Formula, inputs: Callable[[str], Any]) -> dict[str, Any]:
    """The outputs of a formula as vectors, of inputs that are fetched when they are first read."""
    known: dict[str, Any] = {}

    def value(which: Value) -> Any:
        if isinstance(which, float):
            return code.const(which)
        if which not in known:
            known[which] = inputs(which)
        return known[which]

    for name, kind, arguments in formula.operations:
        known[name] = _RULES[kind](code, *(value(argument) for argument in arguments))
    return {name: value(which) for name, which in formula.outputs.items()}


def exp(code: Code, x: Any) -> Any:
    """The exponential; in float32 within 2e-7 of it, 0 below -104, infinity above 88.73, NaN of NaN."""
    if code.shape.bits == 64:
        return _by_lane(code, "exp", x)
    b = code.b
    result, n = _reduced(code, x, -105.0, 89.0)
    # In two halves: 2ⁿ itself would be beyond the normal numbers where the result still is not.
    half = b.ashr(n, ir.Constant(code.integers, [1] * code.shape.width))
    return b.fmul(b.fmul(result, _power_of_2(code, half)), _power_of_2(code, b.sub(n, half)))


def _held_exp(code: Code, x: Any) -> Any:
    """The exponential in float32 for x from -87 to 88; beyond, the value at that end; NaN of NaN."""
    result, n = _reduced(code, x, -87.0, 88.0)
    return code.b.fmul(result, _power_of_2(code, n))


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


def sigmoid(code: Code, x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    one = code.const(1.0)
    # The ends of exp need no care here: 1 / (1 + e^88) is 0 to the last place of float32's normal numbers.
    grown = (_held_exp if code.shape.bits == 32 else exp)(code, code.b.fneg(x))
    return code.b.fdiv(one, code.b.fadd(one, grown))


def tanh(code: Code, x: Any) -> Any:
    """Tanh x; in float32 within 3e-7 of it."""
    if code.shape.bits == 64:
        return _by_lane(code, "tanh", x)
    b = code.b
    x2, near = b.fmul(x, x), code.const(_TANH[0])
    for c in _TANH[1:]:
        near = code.fma(near, x2, code.const(c))
    near = code.fma(b.fmul(near, x2), x, x)
    grown = b.fadd(_held_exp(code, b.fadd(x, x)), code.const(1.0))
    far = code.fma(code.const(-2.0), b.fdiv(code.const(1.0), grown), code.const(1.0))
    return b.select(b.fcmp_ordered("<", x2, code.const(0.09)), near, far)


def _by_lane(code: Code, name: str, x: Any) -> Any:
    """The C library's function, number by number: exact, for float64."""
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
}
