"""Compiles LLVM IR to functions of this process, for its processor."""

from __future__ import annotations

import ctypes
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
from llvmlite import binding as llvm
from llvmlite import ir

from recurra.engine.cpu import code_cache
from recurra.engine.cpu.tile_shape import TileShape

# The folders of the source that writes code.
_WRITERS = (Path(__file__).parent, Path(__file__).parents[1] / "stream")


@functools.cache
def _initialise() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()  # for the pause instruction in `barrier`


def _features() -> str:
    # By default LLVM uses 256-bit vectors on 512-bit machines, which suits programs with few vector operations.
    return str(llvm.get_host_cpu_features().flatten()) + ",-prefer-256-bit"


def _machine() -> Any:
    """A target machine for this processor. One per module: the execution engine of the module frees it."""
    _initialise()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=_features(), opt=3, jit=True)


@functools.cache
def machine_shape(bits: int) -> TileShape:
    """The tile for this processor: as many accumulators as its registers hold besides the operands."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return TileShape(bits, 512 // bits, vectors=4, rows=6)  # 24 of 32 registers
    if features.get("avx2") and features.get("fma"):
        return TileShape(bits, 256 // bits, vectors=2, rows=6)  # 12 of 16
    if features.get("neon") or "aarch64" in llvm.get_process_triple():
        return TileShape(bits, 128 // bits, vectors=4, rows=6)  # 24 of 32
    return TileShape(bits, 128 // bits, vectors=2, rows=4)


class Compiled:
    """The functions of a module, called with addresses and integers; a call releases the interpreter's lock.

    Args:
        write: writes the module; not called if its code is in the user's cache.
        source: everything that the module depends on, except the machine, this package and the compiler; None for a
            module that is not cached.
    """

    def __init__(self, write: Callable[[], ir.Module], source: str | None = None) -> None:
        key = None if source is None else _key(source)
        code = None if key is None else code_cache.load(key)
        if code is None:
            code = _compile(write())
            if key is not None:
                code_cache.save(key, code)
        # An empty module: the code is in the object file, compiled now or in an earlier process.
        module = llvm.parse_assembly("")
        module.triple = llvm.get_process_triple()
        self._engine = llvm.create_mcjit_compiler(module, _machine())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """The address of the function `name`."""
        return int(self._engine.get_function_address(name))

    def function(self, name: str, pointers: int, integers: int) -> Callable[..., None]:
        """The function `name` of `pointers` pointers and `integers` int64."""
        kinds = [ctypes.c_void_p] * pointers + [ctypes.c_int64] * integers
        return ctypes.CFUNCTYPE(None, *kinds)(self.address(name))


def _compile(module: ir.Module) -> bytes:
    _initialise()
    module.triple = llvm.get_process_triple()
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    machine = _machine()
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    passes.getModulePassManager().run(parsed, passes)
    return bytes(machine.emit_object(parsed))


def _key(source: str) -> str:
    machine = (llvm.get_process_triple(), llvm.get_host_cpu_name(), _features())
    versions = (llvmlite.__version__, llvm.llvm_version_info, _own_source())
    return hashlib.sha256(repr((source, machine, versions)).encode()).hexdigest()


@functools.cache
def _own_source() -> str:
    """A hash of the source that writes code: a version number does not change during development."""
    total = hashlib.sha256()
    for folder in _WRITERS:
        for path in sorted(folder.glob("*.py")):
            total.update(path.read_bytes())
    return total.hexdigest()
