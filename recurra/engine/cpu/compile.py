"""LLVM IR to functions of this process, for the processor it runs on."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

from llvmlite import binding as llvm
from llvmlite import ir

from recurra.engine.cpu.code import Shape


@functools.cache
def _initialise() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _machine() -> Any:
    """This processor. One for each module: whoever runs the module's code frees it."""
    _initialise()
    # LLVM prefers half of a 512-bit machine's vectors, for the sake of programs that use few of them.
    features = llvm.get_host_cpu_features().flatten() + ",-prefer-256-bit"
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True)


@functools.cache
def machine_shape(bits: int) -> Shape:
    """The tile for this processor: as many accumulators as its vector registers hold beside what feeds them."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return Shape(bits, 512 // bits, vectors=4, rows=6)  # 24 of 32 registers
    if features.get("avx2") and features.get("fma"):
        return Shape(bits, 256 // bits, vectors=2, rows=6)  # 12 of 16
    if features.get("neon") or "aarch64" in llvm.get_process_triple():
        return Shape(bits, 128 // bits, vectors=4, rows=6)  # 24 of 32
    return Shape(bits, 128 // bits, vectors=2, rows=4)


class Compiled:
    """A module's functions, callable with addresses and whole numbers; a call releases the interpreter's lock."""

    def __init__(self, module: ir.Module) -> None:
        module.triple = llvm.get_process_triple()
        parsed = llvm.parse_assembly(str(module))
        parsed.verify()
        machine = _machine()
        passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
        passes.getModulePassManager().run(parsed, passes)
        self._engine = llvm.create_mcjit_compiler(parsed, machine)
        self._engine.finalize_object()

    def function(self, name: str, pointers: int, integers: int) -> Callable[..., None]:
        """The function `name`, which takes so many pointers and then so many int64."""
        kinds = [ctypes.c_void_p] * pointers + [ctypes.c_int64] * integers
        return ctypes.CFUNCTYPE(None, *kinds)(self._engine.get_function_address(name))
