"""LLVM IR to functions of this process, for the processor it runs on."""

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
from recurra.engine.cpu.code import Shape


@functools.cache
def _initialise() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()  # for the pause in `wait`


def _features() -> str:
    # LLVM prefers half of a 512-bit machine's vectors, for the sake of programs that use few of them.
    return str(llvm.get_host_cpu_features().flatten()) + ",-prefer-256-bit"


def _machine() -> Any:
    """This processor. One for each module: whoever runs the module's code frees it."""
    _initialise()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=_features(), opt=3, jit=True)


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
    """A module's functions, callable with addresses and whole numbers; a call releases the interpreter's lock.

    Args:
        write: writes the module; not called where its code is in the user's cache.
        what: all that the module is written from, but for the machine, this package and the compiler; None for a module
            that is not worth keeping.
    """

    def __init__(self, write: Callable[[], ir.Module], what: str | None = None) -> None:
        key = None if what is None else _key(what)
        code = None if key is None else code_cache.load(key)
        if code is None:
            code = _compile(write())
            if key is not None:
                code_cache.save(key, code)
        module = llvm.parse_assembly("")
        module.triple = llvm.get_process_triple()
        self._engine = llvm.create_mcjit_compiler(module, _machine())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Where the function `name` lies."""
        return int(self._engine.get_function_address(name))

    def function(self, name: str, pointers: int, integers: int) -> Callable[..., None]:
        """The function `name`, which takes so many pointers and then so many int64."""
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


def _key(what: str) -> str:
    machine = (llvm.get_process_triple(), llvm.get_host_cpu_name(), _features())
    versions = (llvmlite.__version__, llvm.llvm_version_info, _own_source())
    return hashlib.sha256(repr((what, machine, versions)).encode()).hexdigest()


@functools.cache
def _own_source() -> str:
    """A hash of what writes the code: a version number would not change while one works on it."""
    folder = Path(__file__).parent
    total = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()
