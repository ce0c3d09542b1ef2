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
class Rows:
    """Which rows have a step when. `active` and `offsets` are a chunk's own, the rest is the same for all."""

    order: Tensor
    """int64 (B,), the row of the batch of each row number; longest first."""
    numbers: Tensor
    """int64 (B,), 0 to B - 1."""
    active: Tensor
    """int64 (T,), rows with a step."""
    offsets: Tensor
    """int64 (T + 1,), where each step begins in packed arrays."""

    def chunk(self, start: int, stop: int) -> Rows:
        """Steps from start to before stop."""
        if (start, stop) == (0, len(self.active)):
            return self
        offsets = self.offsets[start : stop + 1]
        return Rows(self.order, self.numbers, self.active[start:stop], offsets - offsets[0])


class Sharing(NamedTuple):
    """How threads divide a loop."""

    threads: int
    by_units: bool


class Kernel:
    """The forward and the backward loop of a cell for one size and one number type.

    Args:
        formula: the step at one moment; it may change afterwards, and the kernel does not.
        variant: the sizes, and what stands around the step.
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

        what = repr((programs.forward, programs.backward, memories, shape))
        self._compiled = compiled = Compiled(write, what)  # owns the machine code
        self._parts = {name: compiled.function(name, 1, 2) for name in self.memory}
        self._bodies = {name: compiled.address(f"{name}_team") for name in self.memory}

    @property
    def has_sums(self) -> bool:
        """Whether a step needs sums over all units of a row."""
        programs = (self.programs.forward, self.programs.backward)
        return any(one.sums for program in programs for level in program.levels for one in level)

    def run(self, which: str, arrays: Mapping[str, Tensor], rows: Rows, direction: int, sharing: Sharing) -> None:
        """Runs a loop over a chunk of time, on contiguous arrays by name."""
        pointers = [arrays[name].data_ptr() for name in self.memory[which].arrays]
        counter = torch.zeros(1, dtype=torch.int64, device="cpu")
        tables = (rows.order, rows.numbers, rows.active, rows.offsets, counter)
        pointers += [table.data_ptr() for table in tables]
        ours = team()
        asked = (0, 0) if ours is None else (ours.thread_number, ours.threads)
        whole = (len(rows.active), len(rows.order), direction, int(sharing.by_units), *asked)
        data = array.array("q", (*pointers, *whole))
        run_parts(self._parts[which], self._bodies[which], data.buffer_info()[0], sharing.threads)


_MOST = 256
_Key = tuple[Signature, Variant, torch.dtype]
_kernels: dict[_Key, Kernel] = {}
_locks: dict[_Key, threading.Lock] = {}


def kernel_of(formula: Traced, variant: Variant, dtype: torch.dtype) -> Kernel:
    """The kernel of a formula, made at its first use by one thread while others that want it wait."""
    key = formula.signature, variant, dtype
    found = _kernels.get(key)
    if found is None:
        with _locks.setdefault(key, threading.Lock()):
            found = _kernels.get(key)
            if found is None:
                found = Kernel(formula, variant, dtype)
                while len(_kernels) >= _MOST:
                    _kernels.pop(next(iter(_kernels)), None)
                _kernels[key] = found
        _locks.pop(key, None)
    return found


def forget_kernels() -> None:
    """Compiles or reads each kernel again at its next use."""
    _kernels.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_locks.clear)  # the threads that held them are not in the child


def kernel(cell: Cell, variant: Variant, dtype: torch.dtype) -> Kernel:
    """The kernel for a cell as its step is now.

    Raises:
        Untraceable: the step has no compiled form.
    """
    return kernel_of(traced(cell, variant, dtype), variant, dtype)
