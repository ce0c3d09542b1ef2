"""The two time loops of a cell as LLVM IR: forward over t, and backward.

Layout, H padded to whole tiles (Hp): states S (T + 1, B, Hp), the first of them the initial one, so that the last state
of step t is S[t]; gates Z (T, B, G · Hp), going in as x's pre-activations and kept as x + u where the formula reads
only the sum; U (T, B, Q · Hp) the recurrent pre-activations of the other recurrent gates. Weights lie as
(Hp / units, R, H, units). A function runs the rows [first, last) of all steps; rows are sorted by length, longest
first, and a row takes part in the steps below its length only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from recurra.engine.cpu.code import I64, Code, Shape
from recurra.engine.cpu.maths import evaluate
from recurra.engine.cpu.tile import product, row_blocks
from recurra.engine.trace import Traced


@dataclass(frozen=True)
class Layout:
    """The sizes and names that the loops are written for."""

    gates: tuple[str, ...]
    recurrent: tuple[str, ...]
    states: tuple[str, ...]
    vectors: tuple[str, ...]
    summed: tuple[str, ...]
    hidden: int
    shape: Shape

    @property
    def padded(self) -> int:
        """H in whole tiles."""
        return -(-self.hidden // self.shape.units) * self.shape.units

    @property
    def apart(self) -> tuple[str, ...]:
        """The recurrent gates whose x and u are kept apart."""
        return tuple(gate for gate in self.recurrent if gate not in self.summed)


FORWARD = ("Z", "U", "W", "b", "scratch")
BACKWARD = ("Z", "U", "dZ", "dU", "W", "dY")


def build(layout: Layout, traced: Traced) -> ir.Module:
    """A module with the functions `forward` and `backward`; their arguments are those of `arguments`."""
    module = ir.Module("cell")
    _Forward(module, layout, traced).write()
    _Backward(module, layout, traced).write()
    return module


def arguments(layout: Layout, which: str) -> list[str]:
    """The names of a function's pointers, in order; lengths, T, B, first and last follow."""
    states = [f"s.{name}" for name in layout.states]
    vectors = [f"p.{name}" for name in layout.vectors]
    if which == "forward":
        return [*FORWARD, *states, *vectors]
    carried = [f"d.{name}" for name in layout.states]
    return [*BACKWARD, *states, *vectors, *carried, *(f"dp.{name}" for name in layout.vectors)]


class _Loop:
    """What both loops share: arguments, rows at work, addresses."""

    name = ""

    def __init__(self, module: ir.Module, layout: Layout, traced: Traced) -> None:
        self.layout, self.traced = layout, traced
        names = arguments(layout, self.name)
        number = ir.FloatType() if layout.shape.bits == 32 else ir.DoubleType()
        kinds = [number.as_pointer()] * len(names) + [I64.as_pointer()] + [I64] * 4
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), self.name)
        for argument in function.args[: len(names)]:
            argument.add_attribute("noalias")
        self.p = dict(zip(names, function.args, strict=False))
        self.lengths, self.T, self.B, self.first, self.last = function.args[len(names) :]
        self.code = Code(ir.IRBuilder(function.append_basic_block("entry")), layout.shape)
        self.gate_place = {gate: place * layout.padded for place, gate in enumerate(layout.gates)}
        self.apart_place = {gate: place * layout.padded for place, gate in enumerate(layout.apart)}
        b, code = self.code.b, self.code
        self.rows_size = b.mul(self.B, code.index(layout.padded))  # numbers in one step of a state
        self.z_row, self.u_row = len(layout.gates) * layout.padded, len(layout.apart) * layout.padded

    def write(self) -> None:
        """The function's body."""
        raise NotImplementedError

    def step_of(self, pointer: Any, t: Any, row_size: int) -> Any:
        """Where step t of an array (T, B, row_size) begins."""
        b = self.code.b
        return self.code.at(pointer, b.mul(t, b.mul(self.B, self.code.index(row_size))))

    def active(self, t: Any, n: Any, *, growing: bool) -> Any:
        """How many rows, from `first`, have a step t: one less than `n` for each that has ended, or one more."""
        b, code = self.code.b, self.code
        before = b.block
        head, test, move, end = (b.append_basic_block(name) for name in ("rows", "rows_test", "rows_move", "rows_end"))
        b.branch(head)
        b.position_at_end(head)
        last = b.phi(I64)
        last.add_incoming(n, before)
        limit = b.icmp_signed("<", last, self.last) if growing else b.icmp_signed(">", last, self.first)
        b.cbranch(limit, test, end)
        b.position_at_end(test)
        place = last if growing else b.sub(last, code.index(1))
        length = b.load(b.gep(self.lengths, [place]))
        more = b.icmp_signed(">", length, t) if growing else b.icmp_signed("<=", length, t)
        b.cbranch(more, move, end)
        b.position_at_end(move)
        last.add_incoming(b.add(last, code.index(1 if growing else -1)), b.block)
        b.branch(head)
        b.position_at_end(end)
        return last


class _Forward(_Loop):
    """S[t + 1], and the kept gates, from S[t] and Z[t]."""

    name = "forward"

    def write(self) -> None:
        code, layout = self.code, self.layout

        def step(t: Any, rows: Any) -> list[Any]:
            n = self.active(t, rows, growing=False)
            z = self.step_of(self.p["Z"], t, self.z_row)
            u = self.step_of(self.p["U"], t, self.u_row)
            old = {name: self.step_of(self.p[f"s.{name}"], t, layout.padded) for name in layout.states}
            new = {name: code.at(pointer, self.rows_size) for name, pointer in old.items()}
            code.loop(
                code.index(0),
                code.index(layout.padded),
                layout.shape.units,
                lambda j: self.units(j, n, z, u, old, new),
            )
            return [n]

        code.loop(code.index(0), self.T, 1, step, [self.last])
        code.b.ret_void()

    def units(self, j: Any, n: Any, z: Any, u: Any, old: dict[str, Any], new: dict[str, Any]) -> None:
        """One tile's width of units, for all rows: the products of each gate, then the formula."""
        code, layout = self.code, self.layout
        units, R = layout.shape.units, len(layout.recurrent)
        for place, _ in enumerate(layout.recurrent):
            block = code.at(self.p["W"], code.b.mul(j, code.index(R * layout.hidden)), place * layout.hidden * units)
            bias = [
                code.load(code.at(self.p["b"], j, place * layout.padded + v * layout.shape.width))
                for v in range(layout.shape.vectors)
            ]

            def tile(row: Any, count: int, place: int = place, block: Any = block, bias: list[Any] = bias) -> None:
                rows = [code.b.add(row, code.index(k)) for k in range(count)]
                h = [code.at(old["h"], code.b.mul(r, code.index(layout.padded))) for r in rows]
                sums = product(code, h, block, layout.hidden, [list(bias) for _ in rows])
                for r, vectors in zip(rows, sums, strict=True):
                    at = code.at(self.p["scratch"], code.b.mul(r, code.index(R * units)), place * units)
                    for v, vector in enumerate(vectors):
                        code.store(vector, code.at(at, v * layout.shape.width))

            row_blocks(code, self.first, n, tile)
        code.loop(self.first, n, 1, lambda row: self.formula(row, j, z, u, old, new))

    def formula(self, row: Any, j: Any, z: Any, u: Any, old: dict[str, Any], new: dict[str, Any]) -> None:
        """The cell's step for one row of a tile's units."""
        code, layout = self.code, self.layout
        units, R = layout.shape.units, len(layout.recurrent)
        z_at = code.at(z, code.b.mul(row, code.index(self.z_row)), j)
        u_at = code.at(u, code.b.mul(row, code.index(self.u_row)), j)
        s_at = code.b.add(code.b.mul(row, code.index(layout.padded)), j)
        scratch = code.at(self.p["scratch"], code.b.mul(row, code.index(R * units)))
        for v in range(layout.shape.vectors):
            lane = v * layout.shape.width
            found: dict[str, Any] = {}
            for place, gate in enumerate(layout.recurrent):
                found[f"u.{gate}"] = code.load(code.at(scratch, place * units + lane))
            for gate in layout.gates:
                found[f"x.{gate}"] = code.load(code.at(z_at, self.gate_place[gate] + lane))
            for gate in layout.summed:
                found[f"a.{gate}"] = code.b.fadd(found[f"x.{gate}"], found[f"u.{gate}"])
                code.store(found[f"a.{gate}"], code.at(z_at, self.gate_place[gate] + lane))
            for gate in layout.apart:
                code.store(found[f"u.{gate}"], code.at(u_at, self.apart_place[gate] + lane))
            for name in layout.states:
                found[f"s.{name}"] = code.load(code.at(old[name], s_at, lane))
            for name in layout.vectors:
                found[f"p.{name}"] = code.load(code.at(self.p[f"p.{name}"], j, lane))
            for name, value in evaluate(code, self.traced.forward, found.__getitem__).items():
                code.store(value, code.at(new[name], s_at, lane))


class _Backward(_Loop):
    """dZ[t], dU[t] and the derivative by S[t], from the derivative by S[t + 1]."""

    name = "backward"

    def write(self) -> None:
        code, layout = self.code, self.layout

        def step(back: Any, rows: Any) -> list[Any]:
            t = code.b.sub(code.b.sub(self.T, code.index(1)), back)
            n = self.active(t, rows, growing=True)
            at = {
                name: self.step_of(self.p[name], t, size)
                for name, size in (
                    ("Z", self.z_row), ("dZ", self.z_row), ("U", self.u_row), ("dU", self.u_row), ("dY", layout.padded)
                )
            }  # fmt: skip
            at |= {f"s.{name}": self.step_of(self.p[f"s.{name}"], t, layout.padded) for name in layout.states}
            code.loop(
                self.first,
                n,
                1,
                lambda row: code.loop(
                    code.index(0), code.index(layout.padded), layout.shape.width, lambda j: self.formula(row, j, at)
                ),
            )
            if layout.recurrent:
                code.loop(code.index(0), code.index(layout.padded), layout.shape.units, lambda j: self.units(j, n, at))
            return [n]

        code.loop(code.index(0), self.T, 1, step, [self.first])
        code.b.ret_void()

    def formula(self, row: Any, j: Any, at: dict[str, Any]) -> None:
        """The derivative of the cell's step for one row and one vector of units."""
        code, layout, p = self.code, self.layout, self.p
        s_at = code.b.add(code.b.mul(row, code.index(layout.padded)), j)
        z_at = code.b.add(code.b.mul(row, code.index(self.z_row)), j)
        u_at = code.b.add(code.b.mul(row, code.index(self.u_row)), j)

        def fetch(name: str) -> Any:
            group, _, member = name.partition(".")
            if group in ("x", "a"):
                return code.load(code.at(at["Z"], z_at, self.gate_place[member]))
            if group == "u":
                return code.load(code.at(at["U"], u_at, self.apart_place[member]))
            if group == "s":
                return code.load(code.at(at[name], s_at))
            if group == "p":
                return code.load(code.at(p[name], j))
            carried = code.load(code.at(p[name], s_at))
            return code.b.fadd(carried, code.load(code.at(at["dY"], s_at))) if member == "h" else carried

        for name, value in evaluate(code, self.traced.backward, fetch).items():
            group, _, member = name.partition(".")
            if group == "dx":
                code.store(value, code.at(at["dZ"], z_at, self.gate_place[member]))
            elif group == "du":
                code.store(value, code.at(at["dU"], u_at, self.apart_place[member]))
            elif group == "ds":
                code.store(value, code.at(p[f"d.{member}"], s_at))
            else:
                # A row of its own for each row of the batch: the rows are summed afterwards, in one order.
                total = code.at(p[name], s_at)
                code.store(code.b.fadd(code.load(total), value), total)

    def units(self, j: Any, n: Any, at: dict[str, Any]) -> None:
        """What flows to one tile's units of the last h through the products, added to what flows there directly."""
        code, layout = self.code, self.layout
        units, R, width = layout.shape.units, len(layout.recurrent), layout.shape.width
        for place, gate in enumerate(layout.recurrent):
            block = code.at(self.p["W"], code.b.mul(j, code.index(R * layout.hidden)), place * layout.hidden * units)
            summed = gate in layout.summed
            source, size = (at["dZ"], self.z_row) if summed else (at["dU"], self.u_row)
            offset = self.gate_place[gate] if summed else self.apart_place[gate]

            def tile(
                row: Any, count: int, block: Any = block, source: Any = source, size: int = size, offset: int = offset
            ) -> None:
                rows = [code.b.add(row, code.index(k)) for k in range(count)]
                given = [code.at(source, code.b.mul(r, code.index(size)), offset) for r in rows]
                into = [code.at(self.p["d.h"], code.b.mul(r, code.index(layout.padded)), j) for r in rows]
                start = [[code.load(code.at(d, v * width)) for v in range(layout.shape.vectors)] for d in into]
                sums = product(code, given, block, layout.hidden, start)
                for d, vectors in zip(into, sums, strict=True):
                    for v, vector in enumerate(vectors):
                        code.store(vector, code.at(d, v * width))

            row_blocks(code, self.first, n, tile)
