"""The matrix product at the heart of a step: a tile of rows × units in registers, summed over k one after the other.

Every element is one chain of additions in the order of k, whatever the rows beside it: a row's result does not depend
on the batch around it. A tile is a function of its own, called for every gate, so that the code of a cell stays small.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir

from recurra.engine.cpu.code import I64, Code, Shape

# Steps of k written out in the loop's body: enough that the loop's own counting is lost among them.
_UNROLL = 4


class Block(NamedTuple):
    """Columns of a tile: vectors, and the numbers that count in the last of them."""

    vectors: int
    lanes: int


class Rows(NamedTuple):
    """Where the rows of an operand lie: pointer + index[row] · stride, in numbers."""

    pointer: Any
    index: Any
    stride: Any


def tile_function(module: ir.Module, shape: Shape, block: Block, count: int) -> ir.Function:
    """A function of the module: C = S + A W for `count` rows, made once.

    Its arguments: rows of A, weights (k, units), K, rows of S (where the sums begin), rows of C, the first row and the
    distance to the next.
    """
    name = f"tile_{block.vectors}_{block.lanes}_{count}"
    found = module.globals.get(name)
    if found is not None:
        return found
    number = ir.FloatType() if shape.bits == 32 else ir.DoubleType()
    rows = [number.as_pointer(), I64.as_pointer(), I64]
    kinds = [*rows, number.as_pointer(), I64, *rows, *rows, I64, I64]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    code = Code(ir.IRBuilder(function.append_basic_block("entry")), shape)
    operands = list(function.args)
    a, weights, k, start, into = (
        Rows(*operands[:3]),
        operands[3],
        operands[4],
        Rows(*operands[5:8]),
        Rows(*operands[8:11]),
    )
    first, step = operands[11:]
    numbers = [code.b.add(first, code.b.mul(step, code.index(row))) for row in range(count)]

    def at(operand: Rows, row: Any) -> Any:
        place = code.b.load(code.b.gep(operand.index, [row]))
        return code.at(operand.pointer, code.b.mul(place, operand.stride))

    def lanes(vector: int) -> int | None:
        return block.lanes if vector == block.vectors - 1 else None

    sources, starts, targets = ([at(operand, row) for row in numbers] for operand in (a, start, into))
    sums = [code.load(code.at(s, v * shape.width), lanes(v)) for s in starts for v in range(block.vectors)]
    sums = _product(code, sources, weights, k, sums, block.vectors)
    for row, target in enumerate(targets):
        for v in range(block.vectors):
            code.store(sums[row * block.vectors + v], code.at(target, v * shape.width), lanes(v))
    code.b.ret_void()
    return function


def _product(code: Code, rows: list[Any], weights: Any, k: Any, sums: list[Any], vectors: int) -> list[Any]:
    """Sums + rows @ weights: a vector for each row and each vector of units."""
    width = code.shape.width

    def one(place: Any, *current: Any) -> list[Any]:
        at = code.at(weights, code.b.mul(place, code.index(code.shape.units)))
        columns = [code.load(code.at(at, vector * width)) for vector in range(vectors)]
        new = []
        for row, pointer in enumerate(rows):
            number = code.splat(code.b.load(code.at(pointer, place)))
            new += [code.fma(number, columns[v], current[row * vectors + v]) for v in range(vectors)]
        return new

    def several(place: Any, *current: Any) -> list[Any]:
        new = list(current)
        for offset in range(_UNROLL):
            new = one(code.b.add(place, code.index(offset)), *new)
        return new

    whole = code.b.and_(k, code.index(-_UNROLL))
    sums = code.loop(code.index(0), whole, _UNROLL, several, sums)
    return code.loop(whole, k, 1, one, sums)


def row_blocks(code: Code, count: Any, body: Callable[[Any, int], None]) -> None:
    """Calls body(row, how many) for blocks of rows from 0 to count, as even as they can be.

    16 rows in tiles of 6 are 6, 5 and 5: a tile of one or two rows would leave most of the machine idle.
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
