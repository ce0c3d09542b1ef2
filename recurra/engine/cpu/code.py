"""Writing LLVM IR: vectors of one number type, pointers and loops, independent of cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from recurra.engine.cpu.tile_shape import TileShape

I64, I32 = ir.IntType(64), ir.IntType(32)


def number_type(shape: TileShape) -> ir.Type:
    """LLVM's type of a number."""
    return ir.FloatType() if shape.bits == 32 else ir.DoubleType()


class Code:
    """An IR builder for one function with vectors of one type."""

    def __init__(self, builder: ir.IRBuilder, shape: TileShape) -> None:
        self.b, self.shape = builder, shape
        self.number = number_type(shape)
        self.vector = ir.VectorType(self.number, shape.width)
        self.integers = ir.VectorType(ir.IntType(shape.bits), shape.width)

    def index(self, value: int) -> ir.Constant:
        """An int64 constant, for addresses."""
        return ir.Constant(I64, value)

    def const(self, value: float) -> ir.Constant:
        """A vector with the value in every lane."""
        return ir.Constant(self.vector, [_exact(value, self.shape.bits)] * self.shape.width)

    def at(self, pointer: Any, *offsets: Any) -> Any:
        """Pointer + the sum of the offsets, in numbers."""
        total: Any = None
        for offset in offsets:
            value = self.index(offset) if isinstance(offset, int) else offset
            total = value if total is None else self.b.add(total, value)
        return self.b.gep(pointer, [total])

    def load(self, pointer: Any, lanes: int | None = None) -> Any:
        """Loads a vector from memory of any alignment; with `lanes`, only the first numbers, and 0 in the others."""
        if lanes is not None and lanes < self.shape.width:
            kind = ir.FunctionType(self.vector, [pointer.type, I32, self._mask_kind, self.vector])
            function = self._declared("llvm.masked.load", kind)
            align = ir.Constant(I32, self.shape.bits // 8)
            return self.b.call(function, [pointer, align, self.mask(lanes), self.const(0.0)])
        # Rows begin at any number, so that the alignment is that of one number and not of a vector.
        value = self.b.load(self.b.bitcast(pointer, self.vector.as_pointer()))
        value.align = self.shape.bits // 8
        return value

    def store(self, value: Any, pointer: Any, lanes: int | None = None) -> None:
        """Stores a vector to memory of any alignment; with `lanes`, only its first numbers."""
        if lanes is not None and lanes < self.shape.width:
            kind = ir.FunctionType(ir.VoidType(), [self.vector, pointer.type, I32, self._mask_kind])
            align = ir.Constant(I32, self.shape.bits // 8)
            self.b.call(self._declared("llvm.masked.store", kind), [value, pointer, align, self.mask(lanes)])
            return
        self.b.store(value, self.b.bitcast(pointer, self.vector.as_pointer())).align = self.shape.bits // 8

    @property
    def _mask_kind(self) -> ir.Type:
        return ir.VectorType(ir.IntType(1), self.shape.width)

    def mask(self, lanes: int) -> ir.Constant:
        """True in the first `lanes` lanes."""
        return ir.Constant(self._mask_kind, [int(lane < lanes) for lane in range(self.shape.width)])

    def _declared(self, intrinsic: str, kind: ir.FunctionType) -> Any:
        # LLVM appends the types of an overloaded intrinsic to its name, `llvm.masked.load.v8f32.p0`.
        name = f"{intrinsic}.v{self.shape.width}f{self.shape.bits}.p0"
        return self.b.module.globals.get(name) or ir.Function(self.b.module, kind, name)

    def total(self, vector: Any) -> Any:
        """The sum of a vector's numbers."""
        width = self.shape.width
        # The upper half is added to the lower one until one number is left: a fixed order, so that results repeat.
        while width > 1:
            width //= 2
            indices = [*range(width, 2 * width), *([0] * (self.shape.width - width))]
            lanes_from = ir.Constant(ir.VectorType(I32, self.shape.width), indices)
            vector = self.b.fadd(
                vector, self.b.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), lanes_from)
            )
        return self.b.extract_element(vector, ir.Constant(I32, 0))

    def splat(self, number: Any) -> Any:
        """A vector with the number in every lane."""
        empty = ir.Constant(self.vector, ir.Undefined)
        zero = ir.Constant(ir.VectorType(I32, self.shape.width), [0] * self.shape.width)
        return self.b.shuffle_vector(self.b.insert_element(empty, number, ir.Constant(I32, 0)), empty, zero)

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        """X · y + z with one rounding."""
        return self.call("llvm.fma", x, y, z)

    def call(self, intrinsic: str, *arguments: Any) -> Any:
        """Calls an intrinsic of LLVM on vectors."""
        name = f"{intrinsic}.v{self.shape.width}f{self.shape.bits}"
        kind = ir.FunctionType(self.vector, [self.vector] * len(arguments))
        function = self.b.module.globals.get(name) or ir.Function(self.b.module, kind, name)
        return self.b.call(function, list(arguments))

    def loop(
        self,
        start: Any,
        end: Any,
        step: Any,
        body: Callable[..., Any],
        carried: Sequence[Any] = (),
    ) -> list[Any]:
        """For i in range(start, end, step): carried = body(i, *carried). Returns the last carried values."""
        b = self.b
        before = b.block
        head, inside, after = (b.append_basic_block(name) for name in ("head", "body", "exit"))
        b.branch(head)
        b.position_at_end(head)
        # The head has two predecessors, the block before the loop and the end of the body: each carried value is a phi.
        i = b.phi(I64)
        i.add_incoming(start, before)
        phis = [b.phi(value.type) for value in carried]
        for phi, value in zip(phis, carried, strict=True):
            phi.add_incoming(value, before)
        b.cbranch(b.icmp_signed("<", i, end), inside, after)
        b.position_at_end(inside)
        # The body may open blocks of its own, so that the edge back comes from the block it ends in.
        new = body(i, *phis) or ()
        i.add_incoming(b.add(i, self.index(step) if isinstance(step, int) else step), b.block)
        for phi, value in zip(phis, new, strict=True):
            phi.add_incoming(value, b.block)
        b.branch(head)
        b.position_at_end(after)
        return phis


def _exact(value: float, bits: int) -> float:
    """The value rounded to the number type; LLVM refuses a float constant with more digits."""
    import numpy as np

    return float(np.float32(value)) if bits == 32 else value
