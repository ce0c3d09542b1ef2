"""How threads that share the units of a step wait for each other: in compiled code, without the operating system."""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import binding as llvm
from llvmlite import ir

from recurra.engine.cpu.code import I32, I64

# Looks at the counter before a thread lets others have its core: a few times what a step of another thread takes.
_PATIENCE = 20_000


def barrier_function(module: ir.Module) -> ir.Function:
    """`wait(counter, threads)`: returns when all threads have called it as often; made once in a module."""
    found = module.globals.get("wait")
    if found is not None:
        return found
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64.as_pointer(), I64]), "wait")
    function.linkage = "internal"
    counter, threads = function.args
    names = ("entry", "several", "look", "again", "tired", "rest", "done")
    entry, several, look, again, tired, rest, done = (function.append_basic_block(name) for name in names)
    b = ir.IRBuilder(entry)
    one = ir.Constant(I64, 1)
    b.cbranch(b.icmp_signed("<=", threads, one), done, several)
    b.position_at_end(several)
    before = b.atomic_rmw("add", counter, one, "acq_rel")
    goal = b.mul(b.add(b.udiv(before, threads), one), threads)
    b.branch(look)
    b.position_at_end(look)
    looks = b.phi(I64)
    looks.add_incoming(ir.Constant(I64, 0), several)
    b.cbranch(b.icmp_unsigned(">=", b.load_atomic(counter, "acquire", 8), goal), done, again)
    b.position_at_end(again)
    _pause(b)
    more = b.add(looks, one)
    b.cbranch(b.icmp_unsigned(">", more, ir.Constant(I64, _PATIENCE)), tired, rest)
    b.position_at_end(tired)
    _let_others(b)
    b.branch(rest)
    b.position_at_end(rest)
    looks.add_incoming(more, rest)
    b.branch(look)
    b.position_at_end(done)
    b.ret_void()
    return function


def _pause(b: Any) -> None:
    """A hint to the processor that this is a wait."""
    triple = llvm.get_process_triple()
    words = {"x86_64": "pause", "i686": "pause", "aarch64": "yield", "arm64": "yield"}
    word = words.get(triple.partition("-")[0])
    if word:
        b.asm(ir.FunctionType(ir.VoidType(), []), word, "", [], True)


def _let_others(b: Any) -> None:
    """A wish to the operating system, where there are more threads than cores."""
    if sys.platform != "win32":
        kind = ir.FunctionType(I32, [])
        b.call(b.module.globals.get("sched_yield") or ir.Function(b.module, kind, "sched_yield"), [])
