"""Matrix products of one step: C = A Wᵀ + b with W as the parameter stores it, one dot product per output.

A step of few rows is as fast as its weights can be read. Each weight is read once, in the order of memory, and the
parameter itself is read rather than a packed copy: a changed parameter has effect at the next step, however it was
changed. Eight outputs are summed at the same time, so that the latency of the additions is hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from recurra.engine.cpu.code import I32, Code
from recurra.engine.stream.storage import Storage, padded

# Outputs that are summed at the same time: the latency of an addition is 4 cycles, and two are started per cycle.
_OUTPUTS = 8
# Bytes of a line of the caches.
_LINE = 64
# Rows of the batch that share the loads of the weights, and accumulators that registers hold besides the operands.
_ROWS, _ACCUMULATORS = 3, 24
_BYTES = ir.IntType(8).as_pointer()


@dataclass(frozen=True)
class ProductShape:
    """The sizes of a product, which are constants of its code."""

    outputs: int
    """Rows of W, N."""
    inputs: int
    """Columns of W, K."""
    biased: bool
    """Whether b is added."""
    adds: bool
    """Whether the product is added to C, in place of C being overwritten."""
    storage: Storage = Storage.PLAIN
    """How W is stored."""

    @property
    def name(self) -> str:
        """The name of the function."""
        flags = "_biased" * self.biased + "_adds" * self.adds
        return f"product_{self.storage}_{self.outputs}_{self.inputs}{flags}"

    @property
    def stride(self) -> int:
        """The distance between rows of W, in numbers: stored copies are padded with zeros."""
        return self.inputs if self.storage is Storage.PLAIN else padded(self.inputs)


class FloatProduct:
    """Writes the body of a product with W as float16, float32 or float64."""

    def __init__(self, code: Code, product: ProductShape, arguments: Sequence[Any]) -> None:
        self.code, self.product = code, product
        self.a, self.a_stride, self.w, self.bias, self.c, self.c_stride, self.rows, *rest = arguments
        self.share, self.shares, *self.more = rest

    def write(self) -> None:
        """Writes the loop over this thread's blocks of outputs, and in each the loop over the rows of the batch."""
        code, b = self.code, self.code.b
        whole, rest = divmod(self.product.outputs, _OUTPUTS)
        blocks = code.index(whole + (rest > 0))
        low = b.sdiv(b.mul(blocks, self.share), self.shares)
        high = b.sdiv(b.mul(blocks, b.add(self.share, code.index(1))), self.shares)
        end = b.select(b.icmp_signed("<", high, code.index(whole)), high, code.index(whole))
        start, end = (b.mul(block, code.index(_OUTPUTS)) for block in (low, end))
        code.loop(start, end, _OUTPUTS, lambda j: self._over_rows(j, _OUTPUTS))
        if rest:
            has_rest = b.and_(b.icmp_signed("==", high, blocks), b.icmp_signed("<", low, high))
            with b.if_then(has_rest):
                self._over_rows(code.index(whole * _OUTPUTS), rest)
        b.ret_void()

    def _over_rows(self, j: Any, outputs: int) -> None:
        code, b = self.code, self.code.b
        # Rows that share the loads of the weights: with all outputs, 24 of 32 registers are accumulators. Half of the
        # outputs at a time need 12 of the 16 registers of AVX2.
        part = outputs if code.shape.width * code.shape.bits == 512 or outputs < _OUTPUTS else _OUTPUTS // 2
        together = _ROWS if part * _ROWS <= _ACCUMULATORS else 1

        def rows_together(i: Any) -> None:
            for start in range(0, outputs, part):
                self._block(i, together, b.add(j, code.index(start)), part)

        grouped = b.sub(self.rows, b.srem(self.rows, code.index(together))) if together > 1 else code.index(0)
        if together > 1:
            code.loop(code.index(0), grouped, together, rows_together)
        code.loop(grouped, self.rows, 1, lambda i: self._block(i, 1, j, outputs))

    def _block(self, i: Any, rows: int, j: Any, outputs: int) -> None:
        """Some outputs of some rows. The order of additions of an output does not depend on the size of the block."""
        code, b, K, stride = self.code, self.code.b, self.product.inputs, self.product.stride
        width = code.shape.width
        sources = [code.at(self.a, b.mul(b.add(i, code.index(row)), self.a_stride)) for row in range(rows)]
        weights = [
            code.at(self.w, b.mul(b.add(j, code.index(output)), code.index(stride))) for output in range(outputs)
        ]

        def add(k: Any, sums: Sequence[Any], lanes: int | None) -> list[Any]:
            columns = [code.load(code.at(source, k), lanes) for source in sources]
            new = list(sums)
            for output, pointer in enumerate(weights):
                vector = self._weights(code.at(pointer, k), lanes)
                for row, column in enumerate(columns):
                    new[row * outputs + output] = code.fma(vector, column, new[row * outputs + output])
            return new

        def line(k: Any, *sums: Any) -> list[Any]:
            for pointer in weights:
                self._prefetch(code.at(pointer, k, _OUTPUTS * stride))
            current = list(sums)
            for offset in range(0, numbers, width):
                current = add(b.add(k, code.index(offset)), current, None)
            return current

        bits = 16 if self.product.storage is Storage.FLOAT16 else code.shape.bits
        numbers = max(width, _LINE * 8 // bits)
        lines, whole = K - K % numbers, K - K % width
        sums = [code.const(0.0)] * (rows * outputs)
        sums = code.loop(code.index(0), code.index(lines), numbers, line, sums)
        for k in range(lines, whole, width):
            sums = add(code.index(k), sums, None)
        if whole < K:
            sums = add(code.index(whole), sums, K - whole)  # also of A alone: the padding of W is zeros
        for row in range(rows):
            target = code.at(self.c, b.mul(b.add(i, code.index(row)), self.c_stride), j)
            self._store(sums[row * outputs : (row + 1) * outputs], target, j)

    def _weights(self, pointer: Any, lanes: int | None) -> Any:
        """A vector of W."""
        code, b = self.code, self.code.b
        if self.product.storage is Storage.PLAIN:
            return code.load(pointer, lanes)
        halves = b.load(b.bitcast(pointer, ir.VectorType(ir.HalfType(), code.shape.width).as_pointer()))
        halves.align = 2
        return b.fpext(halves, code.vector)

    def _prefetch(self, pointer: Any) -> None:
        """Requests a line of weights before it is read: the processor's own prefetcher restarts with every row."""
        b = self.code.b
        name, kind = "llvm.prefetch.p0", ir.FunctionType(ir.VoidType(), [_BYTES, I32, I32, I32])
        function = b.module.globals.get(name) or ir.Function(b.module, kind, name)
        for_reading, in_all_caches, of_data = (ir.Constant(I32, value) for value in (0, 3, 1))
        b.call(function, [b.bitcast(pointer, _BYTES), for_reading, in_all_caches, of_data])

    def _store(self, sums: list[Any], target: Any, j: Any) -> None:
        """Stores the totals of vectors, one number each."""
        code, width = self.code, self.code.shape.width
        if len(sums) in (_OUTPUTS, _OUTPUTS // 2):
            for number, vector in enumerate(totals(code, sums)):
                lanes, offset = min(width, len(sums)), number * width
                vector = self._scaled(vector, j, offset, lanes)
                vector = self._started(vector, code.at(target, offset), code.at(self.bias, j, offset), lanes)
                code.store(vector, code.at(target, offset), lanes)
            return
        for number, vector in enumerate(sums):
            total, place = self._scaled(code.total(vector), j, number, None), code.at(target, number)
            if self.product.biased:
                total = code.b.fadd(total, code.b.load(code.at(self.bias, j, number)))
            if self.product.adds:
                total = code.b.fadd(total, code.b.load(place))
            code.b.store(total, place)

    def _scaled(self, value: Any, j: Any, offset: int, lanes: int | None) -> Any:
        """The total of output j + offset (or a vector of them, with `lanes`) in the unit of C."""
        return value

    def _started(self, vector: Any, target: Any, bias: Any, lanes: int) -> Any:
        if self.product.biased:
            vector = self.code.b.fadd(vector, self.code.load(bias, lanes))
        return self.code.b.fadd(vector, self.code.load(target, lanes)) if self.product.adds else vector


def totals(code: Code, vectors: list[Any]) -> list[Any]:
    """The totals of vectors (a power of two of them), one number each, in the first lanes of as few vectors as hold
    them.

    Pairs of vectors are merged until a vector holds one number of each of its totals: half as many shuffles as with a
    reduction of every vector by itself.
    """
    width, group = code.shape.width, code.shape.width
    while len(vectors) > 1 and group > 1:
        group //= 2
        # Two vectors of groups become one: the lower and the upper halves of all groups, added.
        lower = [start + lane for start in range(0, 2 * width, 2 * group) for lane in range(group)]
        upper = [lane + group for lane in lower]
        vectors = [
            code.b.fadd(_shuffle(code, one, other, lower), _shuffle(code, one, other, upper))
            for one, other in zip(vectors[::2], vectors[1::2], strict=True)
        ]
    # One vector is left, with more than one number of each total: its groups are halved in place.
    count = width // group
    while group > 1:
        group //= 2
        lower = [start * 2 * group + lane for start in range(count) for lane in range(group)]
        padding = [0] * (width - len(lower))
        (vector,) = vectors
        halves = [_shuffle(code, vector, vector, [*lanes, *padding]) for lanes in (lower, [n + group for n in lower])]
        vectors = [code.b.fadd(*halves)]
    return vectors


def _shuffle(code: Code, one: Any, other: Any, lanes: Sequence[int]) -> Any:
    return code.b.shuffle_vector(one, other, ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes)))
