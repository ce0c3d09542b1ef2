"""A cell's loops compiled for one size, and run on tensors."""

from __future__ import annotations

import array
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from llvmlite import ir
from torch import Tensor

from recurra.cells import Cell
from recurra.engine.cpu.compile import Compiled, machine_shape
from recurra.engine.cpu.loops import Loop
from recurra.engine.cpu.memory import lay_out
from recurra.engine.cpu.pool import run_parts, team
from recurra.engine.trace import Programs, Signature, Traced, Variant, traced


@dataclass(frozen=True)
class ActiveRows:
    """The rows that have each step. `order` and `numbers` belong to the batch, the other tables to a chunk."""

    order: Tensor
    """int64 (B,), the row of the batch of each row number, by descending length."""
    numbers: Tensor
    """int64 (B,), 0 to B - 1."""
    active: Tensor
    """int64 (T,), rows with a step."""
    offsets: Tensor
    """int64 (T + 1,), where each step begins in packed arrays."""
    levels: Tensor
    """int64 (T + 2,), where the states before the first step and after each step begin in state arrays."""

    def chunk(self, start: int, stop: int) -> ActiveRows:
        """The rows of the steps from `start` to `stop` - 1."""
        if (start, stop) == (0, len(self.active)):
            return self
        offsets, levels = self.offsets[start : stop + 1], self.levels[start : stop + 2]
        active = self.active[start:stop]
        return ActiveRows(self.order, self.numbers, active, offsets - offsets[0], levels - levels[0])


class Sharing(NamedTuple):
    """How threads divide a loop."""

    threads: int
    by_units: bool


class Kernel:
    """The forward and the backward loop of a cell for one size and one number type.

    Args:
        formula: the traced step; the kernel does not follow later changes of the cell.
        variant: the sizes and the wrappers of the step.
        dtype: float32 or float64.
    """

    def __init__(self, formula: Traced, variant: Variant, dtype: torch.dtype) -> None:
        programs, cell = formula.programs, formula.outline
        self.programs: Programs = programs
        self.variant, self.cell = variant, cell
        self.shape = shape = machine_shape(32 if dtype == torch.float32 else 64)
        memories = lay_out(cell, variant, programs)
        self.memory = {"forward": memories.forward, "backward": memories.backward}

        def write() -> ir.Module:
            module = ir.Module("cell")
            Loop(module, "forward", programs.forward, memories.forward, shape).write()
            Loop(module, "backward", programs.backward, memories.backward, shape).write()
            return module

        # The machine code depends on nothing else, apart from the processor and the source of this package.
        source = repr((programs.forward, programs.backward, memories, shape))
        self._compiled = compiled = Compiled(write, source)  # owns the machine code
        self._parts = {name: compiled.function(name, 1, 2) for name in self.memory}
        self._bodies = {name: compiled.address(f"{name}_team") for name in self.memory}

    @property
    def has_sums(self) -> bool:
        """Whether a step needs sums over all units of a row."""
        programs = (self.programs.forward, self.programs.backward)
        return any(one.sums for program in programs for level in program.levels for one in level)

    def run(self, which: str, arrays: Mapping[str, Tensor], rows: ActiveRows, direction: int, sharing: Sharing) -> None:
        """Runs a loop over a chunk of time, on contiguous arrays by name."""
        pointers = [arrays[name].data_ptr() for name in self.memory[which].arrays]
        # A new counter per call: calls from several threads of Python run at the same time.
        counter = torch.zeros(1, dtype=torch.int64, device="cpu")
        tables = (rows.order, rows.numbers, rows.active, rows.offsets, rows.levels, counter)
        pointers += [table.data_ptr() for table in tables]
        openmp = team()
        thread_functions = (0, 0) if openmp is None else (openmp.thread_number, openmp.threads)
        sizes = (len(rows.active), len(rows.order), direction, int(sharing.by_units), *thread_functions)
        # In the order in which `Loop` reads its arguments; `data` must live until all threads have returned.
        data = array.array("q", (*pointers, *sizes))
        run_parts(self._parts[which], self._bodies[which], data.buffer_info()[0], sharing.threads)


_MAX_KERNELS = 256
_Key = tuple[Signature, Variant, torch.dtype]
_kernels: dict[_Key, Kernel] = {}
_locks: dict[_Key, threading.Lock] = {}


def kernel_of(formula: Traced, variant: Variant, dtype: torch.dtype) -> Kernel:
    """The kernel of a formula, compiled at its first use by one thread while others that need it wait."""
    key = formula.signature, variant, dtype
    cached = _kernels.get(key)
    if cached is None:
        # One lock per kernel: two formulas compile at the same time, one formula only once.
        with _locks.setdefault(key, threading.Lock()):
            cached = _kernels.get(key)
            if cached is None:
                cached = Kernel(formula, variant, dtype)
                while len(_kernels) >= _MAX_KERNELS:
                    _kernels.pop(next(iter(_kernels)), None)
                _kernels[key] = cached
        _locks.pop(key, None)
    return cached


def forget_kernels() -> None:
    """Drops all kernels of this process; each is compiled, or read from the cache folder, at its next use."""
    _kernels.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_locks.clear)  # the threads that held the locks do not exist in the child


def kernel(cell: Cell, variant: Variant, dtype: torch.dtype) -> Kernel:
    """The kernel of a cell's present step.

    Raises:
        Untraceable: the step has no compiled form.
    """
    return kernel_of(traced(cell, variant, dtype), variant, dtype)
