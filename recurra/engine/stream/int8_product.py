"""Products with W in 8 bits: integer additions, and one scale for each output and each row of the batch.

A is rounded to 16 bits for the product, with a scale per row, so that pairs of products are added by one instruction.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding as llvm
from llvmlite import ir

from recurra.engine.cpu.code import I32, Code
from recurra.engine.cpu.maths import rule
from recurra.engine.stream.float_product import FloatProduct
from recurra.engine.stream.storage import padded

_I8, _I16 = ir.IntType(8), ir.IntType(16)
# The sum of an accumulator stays below this.
_LARGEST_SUM = 2**31 - 1


class Int8Product(FloatProduct):
    """Writes the body of a product with W as int8."""

    def write(self) -> None:
        """Rounds the rows of A, then writes the loops over outputs and rows."""
        self.scale, space = self.more
        code, b = self.code, self.code.b
        self.stride = padded(self.product.inputs)
        self.space = space
        # The scales of the rows are behind the rows.
        end = b.gep(space, [b.mul(self.rows, code.index(self.stride))])
        self.row_scales = b.bitcast(end, code.number.as_pointer())
        # Lanes of an accumulator: each adds two products of each vector of 16 bits.
        self.lanes = code.shape.width
        steps = self.stride // (2 * self.lanes)
        self.limit = min(32767, _LARGEST_SUM // (127 * 2 * steps))
        code.loop(code.index(0), self.rows, 1, self._round_row)
        super().write()

    def _round_row(self, i: Any) -> None:
        """A row of A as whole numbers up to `limit`; its scale is not finite where the row is not."""
        code, b, K, width = self.code, self.code.b, self.product.inputs, self.code.shape.width
        source, target = (
            code.at(self.a, b.mul(i, self.a_stride)),
            b.gep(self.space, [b.mul(i, code.index(self.stride))]),
        )
        whole = K - K % width

        def larger(k: Any, largest: Any, lanes: int | None) -> list[Any]:
            size = code.call("llvm.fabs", code.load(code.at(source, k), lanes))
            return [rule("maximum")(code, size, largest)]  # NaN if either is

        (largest,) = code.loop(
            code.index(0), code.index(whole), width, lambda k, largest: larger(k, largest, None), [code.const(0.0)]
        )
        if whole < K:
            (largest,) = larger(code.index(whole), largest, K - whole)
        top = b.extract_element(largest, ir.Constant(I32, 0))
        for lane in range(1, width):
            number = b.extract_element(largest, ir.Constant(I32, lane))
            keeps = b.or_(b.fcmp_ordered("<=", number, top), b.fcmp_unordered("!=", top, top))
            top = b.select(keeps, top, number)
        b.store(b.fdiv(top, ir.Constant(code.number, float(self.limit))), code.at(self.row_scales, i))
        factor = code.splat(b.fdiv(ir.Constant(code.number, float(self.limit)), top))
        bound = code.const(self.limit + 0.25)  # the largest number may be rounded up

        def rounded(k: Any, lanes: int | None) -> None:
            value = b.fmul(code.load(code.at(source, k), lanes), factor)
            # 0 where a row of zeros or an infinite number leaves NaN.
            inside = b.fcmp_ordered("<=", code.call("llvm.fabs", value), bound)
            value = b.select(inside, code.call("llvm.nearbyint", value), code.const(0.0))
            numbers = b.trunc(b.fptosi(value, ir.VectorType(I32, width)), ir.VectorType(_I16, width))
            b.store(numbers, b.bitcast(b.gep(target, [k]), ir.VectorType(_I16, width).as_pointer())).align = 2

        code.loop(code.index(0), code.index(whole), width, lambda k: rounded(k, None))
        if whole < K:
            rounded(code.index(whole), K - whole)
        # The padding of A: whatever it is, that of W is zeros.

    def _block(self, i: Any, rows: int, j: Any, outputs: int) -> None:
        code, b, lanes = self.code, self.code.b, self.lanes
        kind16, kind8 = ir.VectorType(_I16, 2 * lanes), ir.VectorType(_I8, 2 * lanes)
        sources = [b.gep(self.space, [b.mul(b.add(i, code.index(r)), code.index(self.stride))]) for r in range(rows)]
        weights = [b.gep(self.w, [b.mul(b.add(j, code.index(n)), code.index(self.stride))]) for n in range(outputs)]

        def add(k: Any, *sums: Any) -> list[Any]:
            columns = [_load(b, b.gep(source, [k]), kind16, 2) for source in sources]
            new = list(sums)
            for output, pointer in enumerate(weights):
                self._prefetch(b.gep(pointer, [b.add(k, code.index(8 * self.stride))]))
                vector = b.sext(_load(b, b.gep(pointer, [k]), kind8, 1), kind16)
                for row, column in enumerate(columns):
                    place = row * outputs + output
                    new[place] = b.add(new[place], _pairs(code, vector, column))
            return new

        zero = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
        sums = code.loop(code.index(0), code.index(self.stride), 2 * lanes, add, [zero] * (rows * outputs))
        for row in range(rows):
            number = b.add(i, code.index(row))
            of_row = [b.sitofp(total, code.vector) for total in sums[row * outputs : (row + 1) * outputs]]
            self._row_scale = b.load(code.at(self.row_scales, number))
            self._store(of_row, code.at(self.c, b.mul(number, self.c_stride), j), j)

    def _scaled(self, value: Any, j: Any, offset: int, lanes: int | None) -> Any:
        code, b = self.code, self.code.b
        place = code.at(self.scale, j, offset)
        if lanes is None:
            return b.fmul(b.fmul(value, b.load(place)), self._row_scale)
        return b.fmul(b.fmul(value, code.load(place, lanes)), code.splat(self._row_scale))


def _load(b: Any, pointer: Any, kind: ir.Type, align: int) -> Any:
    value = b.load(b.bitcast(pointer, kind.as_pointer()))
    value.align = align
    return value


def _pairs(code: Code, one: Any, other: Any) -> Any:
    """Adjacent products of 16-bit numbers, added in pairs to 32-bit numbers."""
    b, lanes = code.b, code.shape.width
    name = {8: "llvm.x86.avx2.pmadd.wd", 16: "llvm.x86.avx512.pmaddw.d.512", 4: "llvm.x86.sse2.pmadd.wd"}.get(lanes)
    if name is not None and llvm.get_process_triple().startswith("x86_64"):
        kind = ir.FunctionType(ir.VectorType(I32, lanes), [one.type, other.type])
        function = b.module.globals.get(name) or ir.Function(b.module, kind, name)
        return b.call(function, [one, other])
    wide = ir.VectorType(I32, 2 * lanes)
    products = b.mul(b.sext(one, wide), b.sext(other, wide))
    halves = []
    for start in (0, 1):
        places = ir.Constant(ir.VectorType(I32, lanes), list(range(start, 2 * lanes, 2)))
        halves.append(b.shuffle_vector(products, ir.Constant(wide, ir.Undefined), places))
    return b.add(*halves)
