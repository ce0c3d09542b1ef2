"""A barrier in compiled code for the threads that share the units of a step."""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import binding as llvm
from llvmlite import ir

from recurra.engine.cpu.code import I32, I64

# Reads of the counter before a thread yields its core: a few times the duration of a step.
_SPINS = 20_000


def barrier_function(module: ir.Module) -> ir.Function:
    """`barrier(counter, threads)`: returns when all threads have called it equally often; one per module."""
    existing = module.globals.get("barrier")
    if existing is not None:
        return existing
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64.as_pointer(), I64]), "barrier")
    function.linkage = "internal"
    counter, threads = function.args
    names = ("entry", "several", "look", "again", "tired", "rest", "done")
    entry, several, look, again, tired, rest, done = (function.append_basic_block(name) for name in names)
    b = ir.IRBuilder(entry)
    one = ir.Constant(I64, 1)
    b.cbranch(b.icmp_signed("<=", threads, one), done, several)
    b.position_at_end(several)
    # The counter only grows: the n-th barrier of k threads is passed when it reaches n · k. A counter that were reset
    # could be seen late by a slow thread, which would then wait for ever.
    before = b.atomic_rmw("add", counter, one, "acq_rel")
    goal = b.mul(b.add(b.udiv(before, threads), one), threads)
    b.branch(look)
    b.position_at_end(look)
    looks = b.phi(I64)
    looks.add_incoming(ir.Constant(I64, 0), several)
    # "acquire" after the others' "acq_rel": their stores before the barrier are visible to the loads after it.
    b.cbranch(b.icmp_unsigned(">=", b.load_atomic(counter, "acquire", 8), goal), done, again)
    b.position_at_end(again)
    _pause(b)
    more = b.add(looks, one)
    b.cbranch(b.icmp_unsigned(">", more, ir.Constant(I64, _SPINS)), tired, rest)
    b.position_at_end(tired)
    _yield_core(b)
    b.branch(rest)
    b.position_at_end(rest)
    looks.add_incoming(more, rest)
    b.branch(look)
    b.position_at_end(done)
    b.ret_void()
    return function


def _pause(b: Any) -> None:
    """Tells the processor that this is a spin loop, so that the other thread of the core runs faster."""
    triple = llvm.get_process_triple()
    instructions = {"x86_64": "pause", "i686": "pause", "aarch64": "yield", "arm64": "yield"}
    instruction = instructions.get(triple.partition("-")[0])
    if instruction:
        b.asm(ir.FunctionType(ir.VoidType(), []), instruction, "", [], True)


def _yield_core(b: Any) -> None:
    """Yields the core: with more threads than cores, the awaited thread may not be running."""
    if sys.platform != "win32":
        kind = ir.FunctionType(I32, [])
        b.call(b.module.globals.get("sched_yield") or ir.Function(b.module, kind, "sched_yield"), [])
