"""A read of weights from memory: the least time that a step which needs all of them could take."""

from __future__ import annotations

import array
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from llvmlite import ir
from torch import Tensor

from recurra.engine.cpu.code import I32, I64, Code, number_type
from recurra.engine.cpu.compile import Compiled, machine_shape
from recurra.engine.cpu.pool import run_parts, team

# Vectors that are summed at the same time: the latency of an addition is 4 cycles, and two are started per cycle.
_SUMS = 8
# Numbers between the totals of two threads: a line of the caches, so that they do not share one.
_TOTALS_APART = 16
_ARGUMENTS = ("numbers", "blocks", "times", "totals", "thread_number", "threads")


class WeightRead:
    """Reads as many numbers as some tensors have, in compiled code, and sums them.

    Args:
        tensors: the weights, in float32; they are copied to one buffer.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        shape = machine_shape(32)
        numbers = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        blocks = -(-len(numbers) // (_SUMS * shape.width))
        self._numbers = torch.zeros(blocks * _SUMS * shape.width)
        self._numbers[: len(numbers)] = numbers
        self._kernel = _kernel()
        self._part: Callable[[int, int, int], None] = self._kernel.function("read", 1, 2)
        self._body = self._kernel.address("read_team")
        self._blocks = blocks

    def call(self, times: int, threads: int) -> Callable[[], Tensor]:
        """The call that reads all numbers `times` times, each of the threads its share; returns a total per thread."""
        totals = torch.zeros(threads, _TOTALS_APART)
        openmp = team()
        functions = (0, 0) if openmp is None else (openmp.thread_number, openmp.threads)
        addresses = (self._numbers.data_ptr(), self._blocks, times, totals.data_ptr())
        data = array.array("q", (*addresses, *functions))

        def read() -> Tensor:
            run_parts(self._part, self._body, data.buffer_info()[0], threads)
            return totals[:, 0]

        return read


@functools.cache
def _kernel() -> Compiled:
    def write() -> ir.Module:
        module = ir.Module("read")
        _write_team(module, _write_read(module))
        return module

    return Compiled(write)  # not cached in a file: its key would not include this source


def _write_read(module: ir.Module) -> ir.Function:
    """Writes `read(arguments, part, parts)`, which stores the sum of the part's blocks in `totals`."""
    shape = machine_shape(32)
    pointer = number_type(shape).as_pointer()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64.as_pointer(), I64, I64]), "read")
    code = Code(ir.IRBuilder(function.append_basic_block("entry")), shape)
    b, (data, part, parts) = code.b, function.args
    numbers, blocks, times, totals = (_argument(b, data, name) for name in _ARGUMENTS[:4])
    numbers, totals = b.inttoptr(numbers, pointer), b.inttoptr(totals, pointer)
    block = _SUMS * shape.width
    start, end = (
        b.mul(b.sdiv(b.mul(blocks, share), parts), code.index(block)) for share in (part, b.add(part, code.index(1)))
    )

    def add(i: Any, *sums: Any) -> list[Any]:
        return [b.fadd(one, code.load(code.at(numbers, i, k * shape.width))) for k, one in enumerate(sums)]

    # The sums go on from one reading to the next, so that LLVM cannot read once and multiply.
    sums = code.loop(
        code.index(0),
        times,
        1,
        lambda _, *sums: code.loop(start, end, block, add, sums),
        [code.const(0.0)] * _SUMS,
    )
    total = functools.reduce(b.fadd, sums)
    b.store(code.total(total), code.at(totals, b.mul(part, code.index(_TOTALS_APART))))
    b.ret_void()
    return function


def _write_team(module: ir.Module, read: ir.Function) -> None:
    """Writes `read_team(arguments)` for a thread of an OpenMP team."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64.as_pointer()]), "read_team")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    query = ir.FunctionType(I32, []).as_pointer()
    data = function.args[0]
    numbers = [b.call(b.inttoptr(_argument(b, data, name), query), []) for name in ("thread_number", "threads")]
    b.call(read, [data, *(b.sext(number, I64) for number in numbers)])
    b.ret_void()


def _argument(b: ir.IRBuilder, data: Any, name: str) -> Any:
    return b.load(b.gep(data, [ir.Constant(I64, _ARGUMENTS.index(name))]))
