"""Drawing one token from scores as LLVM IR: softmax with a temperature, filters, and inversion of the distribution.

The steps are those of `recurra.decoding.filter_logits`, in the same order. In place of sorting, the probability at
which top-k or top-p cut is found by bisection: numbers that are not negative are ordered like their bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from recurra.engine.cpu.code import I32, I64, Code
from recurra.engine.cpu.maths import rule
from recurra.engine.cpu.tile_shape import TileShape

_DOUBLE, _FLOAT = ir.DoubleType(), ir.FloatType()
_BITS_OF_ONE = 0x3F800000


def write_draw(module: ir.Module, shape: TileShape, size: int) -> ir.Function:
    """Writes the function `draw(scores, excluded, e, settings, top_k, greedy, uniform)` for V = `size` tokens.

    Its arguments: scores (V,), 0 or −inf for each token (V,), space for V numbers, the temperature, top-p and min-p (1
    and 0 for none), top-k (0 for none), whether to take the most probable token, and a number of [0, 1). It returns the
    token, or -1 where the scores give no distribution.
    """
    number = _FLOAT.as_pointer()
    kinds = [number, number, number, number, I64, I64, _DOUBLE]
    function = ir.Function(module, ir.FunctionType(I64, kinds), "draw")
    function.linkage = "internal"
    _Draw(Code(ir.IRBuilder(function.append_basic_block("entry")), shape), function, size).write()
    return function


class _Draw:
    def __init__(self, code: Code, function: ir.Function, size: int) -> None:
        self.code, self.b, self.size = code, code.b, size
        self.scores, self.excluded, self.e, self.settings, self.top_k, self.greedy, self.uniform = function.args

    def write(self) -> None:
        code, b = self.code, self.b
        temperature, top_p, min_p = (b.load(code.at(self.settings, place)) for place in range(3))
        largest = self._largest()
        self._write_exponentials(largest, temperature)
        is_greedy = b.icmp_signed("!=", self.greedy, code.index(0))
        with b.if_then(b.not_(is_greedy)):
            cuts = b.and_(
                b.icmp_signed(">", self.top_k, code.index(0)), b.icmp_signed("<", self.top_k, code.index(self.size))
            )
            with b.if_then(cuts):
                self._keep_top_k()
            with b.if_then(b.fcmp_ordered("<", top_p, ir.Constant(_FLOAT, 1.0))):
                self._keep_top_p(b.fpext(top_p, _DOUBLE))
            with b.if_then(b.fcmp_ordered(">", min_p, ir.Constant(_FLOAT, 0.0))):
                self._for_each(lambda i, e: b.select(b.fcmp_ordered("<", e, min_p), _zero(), e))
        mass = self._mass(None)
        # A token e_i = 1 is the most probable one; the sum is NaN if any score is.
        is_distribution = b.fcmp_ordered("<", mass, ir.Constant(_DOUBLE, float("inf")))
        goal = b.select(is_greedy, ir.Constant(_DOUBLE, 0.0), b.fmul(self.uniform, mass))
        token = self._first(is_greedy, goal)
        b.ret(b.select(is_distribution, token, ir.Constant(I64, -1)))

    # -- passes over all tokens

    def _over(self, body: Callable[..., list[Any]], carried: list[Any]) -> list[Any]:
        """Runs body(token, lanes, *carried) for each vector of tokens."""
        code, width = self.code, self.code.shape.width
        whole = self.size - self.size % width
        carried = code.loop(code.index(0), code.index(whole), width, lambda i, *values: body(i, None, *values), carried)
        return body(code.index(whole), self.size - whole, *carried) if whole < self.size else carried

    def _for_each(self, new: Callable[[Any, Any], Any]) -> None:
        """Replaces every e_i by new(i, e_i)."""
        code, b = self.code, self.b

        def replace(i: Any) -> None:
            place = code.at(self.e, i)
            b.store(new(i, b.load(place)), place)

        code.loop(code.index(0), code.index(self.size), 1, replace)

    def _score(self, i: Any, lanes: int | None) -> Any:
        code = self.code
        score = self.b.fadd(code.load(code.at(self.scores, i), lanes), code.load(code.at(self.excluded, i), lanes))
        return score if lanes is None else self.b.select(code.mask(lanes), score, code.const(float("-inf")))

    def _largest(self) -> Any:
        code, b = self.code, self.b

        def greater(i: Any, lanes: int | None, best: Any) -> list[Any]:
            score = self._score(i, lanes)
            return [b.select(b.fcmp_ordered(">", score, best), score, best)]

        (best,) = self._over(greater, [code.const(float("-inf"))])
        numbers = [b.extract_element(best, ir.Constant(I32, lane)) for lane in range(code.shape.width)]
        largest = numbers[0]
        for number in numbers[1:]:
            largest = b.select(b.fcmp_ordered(">", number, largest), number, largest)
        return largest

    def _write_exponentials(self, largest: Any, temperature: Any) -> None:
        """e_i = exp((score_i - largest) / T), at most 1."""
        code, b = self.code, self.b
        top, divisor = code.splat(largest), code.splat(temperature)

        def store(i: Any, lanes: int | None) -> list[Any]:
            e = rule("exp")(code, b.fdiv(b.fsub(self._score(i, lanes), top), divisor))
            code.store(e, code.at(self.e, i), lanes)
            return []

        self._over(store, [])

    def _sum(self, value: Callable[[Any], Any]) -> Any:
        """The sum over tokens, in double precision, of value(vector of e)."""
        code, b, width = self.code, self.b, self.code.shape.width
        kind = ir.VectorType(_DOUBLE, width)

        def add(i: Any, lanes: int | None, total: Any) -> list[Any]:
            vector = value(code.load(code.at(self.e, i), lanes))
            if lanes is not None:
                vector = b.select(code.mask(lanes), vector, code.const(0.0))
            return [b.fadd(total, b.fpext(vector, kind))]

        (total,) = self._over(add, [ir.Constant(kind, [0.0] * width)])
        result = b.extract_element(total, ir.Constant(I32, 0))
        for lane in range(1, width):
            result = b.fadd(result, b.extract_element(total, ir.Constant(I32, lane)))
        return result

    def _mass(self, least: Any, sign: str = ">=") -> Any:
        """The sum of all e, or of those that are at least (or more than) a number."""
        code, b = self.code, self.b
        if least is None:
            return self._sum(lambda e: e)
        limit = code.splat(least)
        return self._sum(lambda e: b.select(b.fcmp_ordered(sign, e, limit), e, code.const(0.0)))

    def _count(self, least: Any, sign: str = ">=") -> Any:
        code, b = self.code, self.b
        limit = code.splat(least)
        ones, zeros = code.const(1.0), code.const(0.0)
        return self._sum(lambda e: b.select(b.fcmp_ordered(sign, e, limit), ones, zeros))

    # -- filters

    def _bisect(self, measure: Callable[[Any], Any], goal: Any) -> Any:
        """The largest number t in [0, 1] with measure(t) ≥ goal; measure falls with t, and measure(0) ≥ goal."""
        code, b = self.code, self.b
        one = ir.Constant(I32, 1)

        def halve(_: Any, low: Any, high: Any) -> list[Any]:
            middle = b.lshr(b.add(b.add(low, high), one), one)
            enough = b.fcmp_ordered(">=", measure(b.bitcast(middle, _FLOAT)), goal)
            return [b.select(enough, middle, low), b.select(enough, high, b.sub(middle, one))]

        start = [ir.Constant(I32, 0), ir.Constant(I32, _BITS_OF_ONE)]
        low, _ = code.loop(code.index(0), code.index(31), 1, halve, start)
        return b.bitcast(low, _FLOAT)

    def _keep_top_k(self) -> None:
        k = self.b.sitofp(self.top_k, _DOUBLE)
        limit = self._bisect(self._count, k)
        self._keep(limit, self.b.fsub(k, self._count(limit, ">")))

    def _keep_top_p(self, top_p: Any) -> None:
        b = self.b
        goal = b.fmul(top_p, self._mass(None))
        limit = self._bisect(self._mass, goal)
        # As many of the tokens at the limit as it takes to reach the goal.
        missing = b.fdiv(b.fsub(goal, self._mass(limit, ">")), b.fpext(limit, _DOUBLE))
        name = "llvm.ceil.f64"
        ceil = b.module.globals.get(name) or ir.Function(b.module, ir.FunctionType(_DOUBLE, [_DOUBLE]), name)
        self._keep(limit, b.call(ceil, [missing]))

    def _keep(self, limit: Any, ties: Any) -> None:
        """Sets e to 0 below the limit, and at the limit of all but the first `ties` tokens."""
        code, b = self.code, self.b

        def keep(i: Any, left: Any) -> list[Any]:
            place = code.at(self.e, i)
            e = b.load(place)
            tied = b.fcmp_ordered("==", e, limit)
            kept = b.or_(
                b.fcmp_ordered(">", e, limit), b.and_(tied, b.fcmp_ordered(">", left, ir.Constant(_DOUBLE, 0.0)))
            )
            b.store(b.select(kept, e, _zero()), place)
            return [b.select(tied, b.fsub(left, ir.Constant(_DOUBLE, 1.0)), left)]

        code.loop(code.index(0), code.index(self.size), 1, keep, [ties])

    # -- the draw

    def _first(self, is_greedy: Any, goal: Any) -> Any:
        """The first token whose cumulative sum is above the goal; the first of e = 1 if greedy."""
        code, b = self.code, self.b
        one, none = ir.Constant(_FLOAT, 1.0), ir.Constant(I64, -1)

        def look(i: Any, total: Any, token: Any, last: Any) -> list[Any]:
            e = b.load(code.at(self.e, i))
            total = b.fadd(total, b.fpext(e, _DOUBLE))
            possible = b.fcmp_ordered(">", e, _zero())
            hit = b.select(is_greedy, b.fcmp_ordered("==", e, one), b.and_(possible, b.fcmp_ordered(">", total, goal)))
            is_first = b.and_(hit, b.icmp_signed("<", token, code.index(0)))
            return [total, b.select(is_first, i, token), b.select(possible, i, last)]

        start = [ir.Constant(_DOUBLE, 0.0), none, none]
        _, token, last = code.loop(code.index(0), code.index(self.size), 1, look, start)
        # Sums in another order may differ by a rounding: the goal is then the last possible token.
        return b.select(b.icmp_signed("<", token, code.index(0)), last, token)


def _zero() -> ir.Constant:
    return ir.Constant(_FLOAT, 0.0)
