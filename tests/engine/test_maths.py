"""Every function of the compiled maths against wider arithmetic, over all of float32 and float64.

Errors are counted in ulp: the spacing of the number type at the exact result, which is 2⁻¹⁴⁹ (2⁻¹⁰⁷⁴) where that is
subnormal.
"""

import math

import numpy as np
import pytest
import torch
from elementwise import compiled

from recurra.engine.cpu import maths
from recurra.engine.trace.operations import CONDITIONS, KINDS

MOST_ULP = 4.0
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def sigmoid(x):
    tail = np.exp(-np.abs(x))
    return np.where(x < 0, tail, 1) / (1 + tail)


def by_torch(name):
    return lambda *arrays: getattr(torch, name)(*(torch.from_numpy(array) for array in arrays)).numpy()


ONE = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sigmoid": sigmoid, "tanh": np.tanh,
    "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x), "reciprocal": lambda x: 1 / x, "exp2": np.exp2,
    "log2": np.log2, "log10": np.log10, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin,
    "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "erf": by_torch("erf"), "erfc": by_torch("erfc"), "neg": np.negative,
    "abs": np.abs, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round": np.round,
    "sign": by_torch("sign"), "relu": by_torch("relu"),
}  # fmt: skip
TWO = {
    "add": np.add, "sub": np.subtract, "rsub": lambda x, y: y - x, "mul": np.multiply, "div": np.divide,
    "maximum": np.maximum, "minimum": np.minimum, "pow": np.power, "atan2": np.arctan2, "hypot": np.hypot,
    "fmod": np.fmod, "copysign": np.copysign,
}  # fmt: skip
COMPARISONS = {
    "le": np.less_equal, "lt": np.less, "ge": np.greater_equal, "gt": np.greater, "eq": np.equal, "ne": np.not_equal,
}  # fmt: skip
LOGIC = {"and": np.logical_and, "or": np.logical_or, "not": np.logical_not}
SLOW = {"sin", "cos", "tan", "sinh", "cosh", "asinh", "acosh", "atanh", "erfc", "erf", "exp2", "log2", "log10"}
SLOW |= {"asin", "acos", "atan"}
"""By the C library, number by number: a coarser grid shows that the right function is called."""


def float32_grid(step):
    """Every step-th bit pattern, all patterns near powers of two, the smallest subnormals, and where functions turn."""
    every = np.arange(0, 2**32, step)
    powers = (np.arange(512)[:, None] * 2**23 + np.arange(-40, 41)).ravel() % 2**32
    smallest = np.arange(1024)
    bits = np.concatenate([every, powers, smallest, smallest + 2**31]).astype(np.uint32)
    # Ends of the functions and of their pieces: overflow, underflow, saturation, multiples of ln 2 / 2.
    ends = np.array([0.5, 1.0, 8.0, 9.02, 16.64, 17.33, 18.0, 20.0, 87.34, 88.03, 88.73, 89.0, 103.28, 103.98, 104.0])
    places = np.concatenate([ends, np.arange(1, 310) * math.log(2) / 2, 2.0 ** -np.array([12.0, 24.0, 25.0, 26.0])])
    near = (places.astype(np.float32).view(np.int32)[:, None] + np.arange(-30, 31)).ravel().astype(np.uint32)
    bits = np.concatenate([bits, near, near | np.uint32(2**31)])
    return np.resize(bits, -(-bits.size // 16) * 16).view(np.float32)


def errors(got, exact, kind):
    """Of each result in ulp, against exact results of a wider type; 0 where both are the same infinity or NaN."""
    digits, lowest = (23, -126) if kind == np.float32 else (52, -1022)
    exponent = np.clip(np.frexp(exact)[1] - 1, lowest, -lowest + 1)
    rounded = exact.astype(kind)
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    # Beyond the largest number: 1 ulp below the largest stands for infinity.
    finite = np.where(np.isinf(got), np.copysign(2.0 ** (2 - lowest) if kind == np.float32 else np.inf, got), got)
    ulp = np.abs(finite.astype(exact.dtype) - exact) / np.exp2((exponent - digits).astype(exact.dtype))
    return np.where(same, 0, np.where(np.isnan(ulp), np.inf, ulp)).astype(float)


def test_every_kind_of_operation_has_a_rule_and_is_tested_here():
    tested = {*ONE, *TWO, *COMPARISONS, *LOGIC, "where"}
    assert tested == KINDS - {"sum"}
    assert tested >= CONDITIONS
    assert all(callable(maths.rule(kind)) for kind in tested)


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_number_are_within_4_ulp_over_all_of_float32(name):
    x = float32_grid(65537 if name in SLOW else 4099)
    assert np.isnan(x).any()
    assert np.isinf(x).any()
    exact = ONE[name](x.astype(np.float64))
    got = compiled(maths.rule(name), 32)(x)
    ulp = errors(got, exact, np.float32)
    worst = ulp.argmax()
    assert ulp[worst] <= MOST_ULP, f"{name}({x[worst]!r}) = {got[worst]!r}, exactly {exact[worst]!r}"
    zero = (got == 0) & (exact == 0)
    assert (np.signbit(got) == np.signbit(exact))[zero].all()


@pytest.mark.parametrize("name", ["exp", "expm1", "log", "log1p", "sigmoid", "tanh"])
def test_own_functions_are_within_4_ulp_where_cells_use_them(name):
    g = np.random.default_rng(0)
    x = np.concatenate([g.uniform(-20, 20, 400_000), g.uniform(-1, 1, 200_000), g.uniform(-104, 89, 400_000)])
    x = x.astype(np.float32)
    x = np.abs(x) if name.startswith("log") else x
    assert errors(compiled(maths.rule(name), 32)(x), ONE[name](x.astype(np.float64)), np.float32).max() <= MOST_ULP


@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_numbers_are_within_4_ulp(name):
    g = np.random.default_rng(0)
    x, y = (g.integers(0, 2**32, 40_000, dtype=np.uint32).view(np.float32) for _ in range(2))
    ends = np.array([0, -0.0, 1, -1, 2, -2.5, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3e38], dtype=np.float32)
    x = np.concatenate([x, np.repeat(ends, 12), g.uniform(-3, 3, 16_000).astype(np.float32)])
    y = np.concatenate([y, np.tile(ends, 12), g.uniform(-3, 3, 16_000).astype(np.float32)])
    exact = TWO[name](x.astype(np.float64), y.astype(np.float64))
    ulp = errors(compiled(maths.rule(name), 32, 2)(x, y), exact, np.float32)
    worst = ulp.argmax()
    assert ulp[worst] <= MOST_ULP, f"{name}({x[worst]!r}, {y[worst]!r})"


@pytest.mark.parametrize("name", [*COMPARISONS, *LOGIC, "where"])
def test_conditions_and_choices_as_in_numpy(name):
    ends = np.array([0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 1e-45], dtype=np.float32)
    x, y = np.repeat(ends, 8), np.tile(ends, 8)

    def rule(code, x, y):
        one, zero = code.const(1.0), code.const(0.0)
        if name in COMPARISONS:
            return code.b.select(maths.rule(name)(code, x, y), one, zero)
        conditions = [code.b.fcmp_unordered("!=", value, zero) for value in (x, y)]
        if name == "where":
            return maths.rule(name)(code, conditions[0], x, y)
        return code.b.select(maths.rule(name)(code, *conditions[: 1 if name == "not" else 2]), one, zero)

    if name == "where":
        want = np.where(x != 0, x, y)
    elif name in COMPARISONS:
        want = COMPARISONS[name](x, y)
    else:
        want = LOGIC[name](*((x != 0, y != 0)[: 1 if name == "not" else 2]))
    np.testing.assert_array_equal(compiled(rule, 32, 2)(x, y), want.astype(np.float32))


WIDER = np.finfo(np.longdouble).nmant > 52


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_number_in_float64(name):
    g = np.random.default_rng(0)
    x = g.integers(0, 2**64, 20_000, dtype=np.uint64, endpoint=False).view(np.float64)
    ends = [0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 1.0, -1.0, 1.8e308, -709.9, -710.0, -740.0, 709.7]
    x = np.concatenate([x, g.uniform(-750, 750, 20_000), g.uniform(-3, 3, 20_000), ends, ends])
    x = np.resize(x, x.size // 8 * 8)
    wide = np.longdouble if WIDER and name not in ("erf", "erfc", "sign", "relu") else np.float64
    ulp = errors(compiled(maths.rule(name), 64)(x), ONE[name](x.astype(wide)), np.float64)
    worst = ulp.argmax()
    assert ulp[worst] <= MOST_ULP, f"{name}({x[worst]!r})"


def test_bounded_functions_never_leave_their_bounds():
    x = float32_grid(997)
    x = x[: x.size // 16 * 16]
    x[np.isnan(x)] = 0
    assert np.abs(compiled(maths.tanh, 32)(x)).max() == 1
    y = compiled(maths.sigmoid, 32)(x)
    assert y.min() == 0
    assert y.max() == 1


def test_the_logarithm_of_a_sigmoid_is_finite_wherever_the_sigmoid_is_not_0():
    x = np.linspace(-103, 20, 16_000).astype(np.float32)
    got = compiled(lambda code, x: maths.log(code, maths.sigmoid(code, x)), 32)(x)
    assert np.isfinite(got).all()
    want = -np.logaddexp(0, -x.astype(np.float64))
    # Below -87 a sigmoid is subnormal and has few bits, and so has its logarithm.
    normal = x > -87
    assert (np.abs(got - want) <= 5e-7 + 2.5e-7 * np.abs(want))[normal].all()
