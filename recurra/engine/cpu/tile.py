"""The matrix product of a step: a tile of rows × units is held in registers and summed over k.

Every element is one chain of additions in the order of k, so that the result of a row does not depend on the other
rows of the batch. A tile is a separate function, called for every gate, which keeps the code of a cell small.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir

from recurra.engine.cpu.code import I64, Code, number_type
from recurra.engine.cpu.tile_shape import TileShape

# Steps of k per iteration of the loop, so that the cost of the loop counter is negligible.
_UNROLL = 4


class UnitBlock(NamedTuple):
    """The units of a tile: a number of vectors, the last of which may be partly filled."""

    vectors: int
    lanes: int
    """Numbers used in the last vector."""


class RowBlock(NamedTuple):
    """The rows of an operand in memory: row i begins at pointer + index[i] · stride, in numbers."""

    pointer: Any
    index: Any
    stride: Any


def tile_function(module: ir.Module, shape: TileShape, block: UnitBlock, count: int) -> ir.Function:
    """The function C = S + A W for `count` rows; written at the first call for a module, then reused.

    Its arguments: rows of A, weights (K, units), K, rows of S (the initial sums), rows of C, the first row and the
    distance to the next.
    """
    name = f"tile_{block.vectors}_{block.lanes}_{count}"
    existing = module.globals.get(name)
    if existing is not None:
        return existing
    number = number_type(shape)
    rows = [number.as_pointer(), I64.as_pointer(), I64]
    kinds = [*rows, number.as_pointer(), I64, *rows, *rows, I64, I64]
    # Not inlined: a cell calls a tile for each gate and number of rows, and copies would multiply the size of its code.
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    code = Code(ir.IRBuilder(function.append_basic_block("entry")), shape)
    operands = list(function.args)
    a, weights, k, start, into = (
        RowBlock(*operands[:3]),
        operands[3],
        operands[4],
        RowBlock(*operands[5:8]),
        RowBlock(*operands[8:11]),
    )
    first, step = operands[11:]
    numbers = [code.b.add(first, code.b.mul(step, code.index(row))) for row in range(count)]

    # Threads that share rows take every n-th one, so the row numbers of a tile are `step` apart.
    def at(operand: RowBlock, row: Any) -> Any:
        row_number = code.b.load(code.b.gep(operand.index, [row]))
        return code.at(operand.pointer, code.b.mul(row_number, operand.stride))

    def lanes(vector: int) -> int | None:
        return block.lanes if vector == block.vectors - 1 else None

    sources, starts, targets = ([at(operand, row) for row in numbers] for operand in (a, start, into))
    # count · vectors accumulators, row by row; they stay in registers for the whole of K.
    sums = [code.load(code.at(s, v * shape.width), lanes(v)) for s in starts for v in range(block.vectors)]
    sums = _product(code, sources, weights, k, sums, block.vectors)
    for row, target in enumerate(targets):
        for v in range(block.vectors):
            code.store(sums[row * block.vectors + v], code.at(target, v * shape.width), lanes(v))
    code.b.ret_void()
    return function


def _product(code: Code, rows: list[Any], weights: Any, k: Any, sums: list[Any], vectors: int) -> list[Any]:
    """Returns sums + rows @ weights, one vector per row and vector of units."""
    width = code.shape.width

    def multiply_add(k_index: Any, *current: Any) -> list[Any]:
        at = code.at(weights, code.b.mul(k_index, code.index(code.shape.units)))
        # One load of the weights serves all rows of the tile. Packed weights are padded to whole tiles: no mask needed.
        columns = [code.load(code.at(at, vector * width)) for vector in range(vectors)]
        new = []
        for row, pointer in enumerate(rows):
            number = code.splat(code.b.load(code.at(pointer, k_index)))
            new += [code.fma(number, columns[v], current[row * vectors + v]) for v in range(vectors)]
        return new

    def unrolled(k_index: Any, *current: Any) -> list[Any]:
        new = list(current)
        for offset in range(_UNROLL):
            new = multiply_add(code.b.add(k_index, code.index(offset)), *new)
        return new

    # K rounded down to a multiple of _UNROLL, a power of two; the second loop adds the rest.
    whole = code.b.and_(k, code.index(-_UNROLL))
    sums = code.loop(code.index(0), whole, _UNROLL, unrolled, sums)
    return code.loop(whole, k, 1, multiply_add, sums)


def row_blocks(code: Code, count: Any, body: Callable[[Any, int], None]) -> None:
    """Calls body(row, rows of the block) for blocks of rows from 0 to count, of nearly equal size.

    16 rows in tiles of at most 6 are divided into 6, 5 and 5: a tile of one or two rows leaves most of a core idle.
    """
    b, most = code.b, code.shape.rows
    before = b.block
    names = ("blocks", "block", "block_none", "block_done", "blocks_end")
    head, inside, none, done, end = (b.append_basic_block(name) for name in names)
    b.branch(head)
    b.position_at_end(head)
    row = b.phi(I64)
    row.add_incoming(code.index(0), before)
    b.cbranch(b.icmp_signed("<", row, count), inside, end)
    b.position_at_end(inside)
    left = b.sub(count, row)
    blocks = b.udiv(b.add(left, code.index(most - 1)), code.index(most))
    size = b.udiv(b.add(left, b.sub(blocks, code.index(1))), blocks)
    # The rows of a tile are a constant of its code, so that each possible number has a case.
    switch = b.switch(size, none)
    b.position_at_end(none)
    b.unreachable()
    for number in range(1, most + 1):
        case = b.append_basic_block(f"rows_{number}")
        switch.add_case(code.index(number), case)
        b.position_at_end(case)
        body(row, number)
        b.branch(done)
    b.position_at_end(done)
    row.add_incoming(b.add(row, size), b.block)
    b.branch(head)
    b.position_at_end(end)
