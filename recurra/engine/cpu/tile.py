"""The matrix product at the heart of a step: a tile of rows × units in registers, summed over k one after the other.

Every element is one chain of additions in the order of k, whatever the rows beside it: a row's result does not depend
on the batch around it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from recurra.engine.cpu.code import Code

# Steps of k written out in the loop's body: enough that the loop's own counting is lost among them.
_UNROLL = 4


def product(code: Code, rows: list[Any], weights: Any, k: int, start: list[list[Any]]) -> list[list[Any]]:
    """Start + rows @ weights for one tile.

    Args:
        code: where to write.
        rows: a pointer to the k numbers of each row.
        weights: a pointer to (k, units) numbers, a tile's columns side by side.
        k: how many products each element sums.
        start: a vector for each row and each vector of units.

    Returns:
        Vectors as `start`.
    """
    width, vectors = code.shape.width, code.shape.vectors

    def one(place: Any, sums: list[Any]) -> list[Any]:
        at = code.at(weights, code.b.mul(place, code.index(code.shape.units)))
        columns = [code.load(code.at(at, vector * width)) for vector in range(vectors)]
        new = []
        for row, pointer in enumerate(rows):
            number = code.splat(code.b.load(code.at(pointer, place)))
            new += [code.fma(number, columns[v], sums[row * vectors + v]) for v in range(vectors)]
        return new

    def several(place: Any, *sums: Any) -> list[Any]:
        current = list(sums)
        for offset in range(_UNROLL):
            current = one(code.b.add(place, code.index(offset)), current)
        return current

    sums = [vector for row in start for vector in row]
    whole = k - k % _UNROLL
    if whole:
        sums = code.loop(code.index(0), code.index(whole), _UNROLL, several, sums)
    for place in range(whole, k):
        sums = one(code.index(place), sums)
    return [sums[row * vectors : (row + 1) * vectors] for row in range(len(rows))]


def row_blocks(code: Code, first: Any, last: Any, body: Callable[[Any, int], None]) -> None:
    """Calls body(row, how many) for blocks of rows from first to last, as even as they can be.

    16 rows in tiles of 6 are 6, 5 and 5: a tile of one or two rows would leave most of the machine idle.
    """
    b, most = code.b, code.shape.rows
    before = b.block
    names = ("blocks", "block", "block_none", "block_done", "blocks_end")
    head, inside, none, done, end = (b.append_basic_block(name) for name in names)
    b.branch(head)
    b.position_at_end(head)
    row = b.phi(first.type)
    row.add_incoming(first, before)
    b.cbranch(b.icmp_signed("<", row, last), inside, end)
    b.position_at_end(inside)
    left = b.sub(last, row)
    blocks = b.udiv(b.add(left, code.index(most - 1)), code.index(most))
    size = b.udiv(b.add(left, b.sub(blocks, code.index(1))), blocks)
    switch = b.switch(size, none)
    b.position_at_end(none)
    b.unreachable()
    for count in range(1, most + 1):
        case = b.append_basic_block(f"rows_{count}")
        switch.add_case(code.index(count), case)
        b.position_at_end(case)
        body(row, count)
        b.branch(done)
    b.position_at_end(done)
    row.add_incoming(b.add(row, size), b.block)
    b.branch(head)
    b.position_at_end(end)
