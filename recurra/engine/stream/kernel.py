"""The compiled step of a layer, and the compiled loop over layers and steps."""

from __future__ import annotations

import functools
import os
import threading

import torch
from llvmlite import ir

from recurra.engine.cpu.compile import Compiled, machine_shape
from recurra.engine.cpu.memory import Memory
from recurra.engine.stream.layer_code import LayerShape, LayerStep
from recurra.engine.stream.memory import lay_out_step
from recurra.engine.stream.stack_code import write_stack
from recurra.engine.trace import Outline, Signature, Traced, step_program


class LayerKernel:
    """The compiled step of a formula for one size and one number type.

    Args:
        formula: the traced step.
        layer: sizes, wrappers and connection.
        dtype: float32 or float64.
    """

    def __init__(self, formula: Traced, layer: LayerShape, dtype: torch.dtype) -> None:
        cell, programs = formula.outline, formula.programs
        self.cell: Outline = cell
        self.layer = layer
        program = step_program(programs)
        self.memory: Memory = lay_out_step(cell, layer.variant, programs, program)
        shape = machine_shape(32 if dtype == torch.float32 else 64)

        def write() -> ir.Module:
            module = ir.Module("layer")
            LayerStep(module, cell, layer, program, self.memory, shape).write()
            return module

        recurrent = cell.recurrent, len(cell.gates), cell.states
        self._compiled = Compiled(write, repr(("step", program, self.memory, layer, recurrent, shape)))
        self.address = self._compiled.address("step")


_MAX_KERNELS = 256
_Key = tuple[Signature, LayerShape, torch.dtype]
_kernels: dict[_Key, LayerKernel] = {}
_locks: dict[_Key, threading.Lock] = {}


def layer_kernel(formula: Traced, layer: LayerShape, dtype: torch.dtype) -> LayerKernel:
    """The kernel of a layer, compiled at its first use."""
    key = formula.signature, layer, dtype
    kernel = _kernels.get(key)
    if kernel is None:
        # One thread compiles, others that need the kernel wait.
        with _locks.setdefault(key, threading.Lock()):
            kernel = _kernels.get(key) or LayerKernel(formula, layer, dtype)
            while len(_kernels) >= _MAX_KERNELS:
                _kernels.pop(next(iter(_kernels)), None)
            _kernels[key] = kernel
        _locks.pop(key, None)
    return kernel


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_locks.clear)  # the threads that held the locks do not exist in the child


@functools.cache
def stack_kernel() -> Compiled:
    """The compiled loop over layers and steps; its function is `run`."""

    def write() -> ir.Module:
        module = ir.Module("stack")
        write_stack(module)
        return module

    return Compiled(write, "stack")
