"""The entry point of the engines: chooses one from a fixed table, with a reason.

The choice depends only on the request, never on a timing, so that a run is reproducible to the bit.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch

from recurra.cells import Cell, State, Weights
from recurra.engine import native
from recurra.engine.cpu import support
from recurra.engine.recompute import in_pieces
from recurra.engine.request import Request, Result
from recurra.engine.unroll import unroll
from recurra.errors import InputError, nearest

ENGINES = ("auto", "cpu", "native", "unroll")

# Multiplications and additions of the recurrent products above which it pays to compile a formula.
_WORTH_COMPILING = 2e7


class Choice(NamedTuple):
    """The engine that runs a request, and the reason in words."""

    engine: str
    why: str


def choose(request: Request, engine: str = "auto") -> Choice:
    """The engine for a request.

    Raises:
        InputError: no engine has that name, or the engine cannot run the request.
    """
    if engine not in ENGINES:
        raise InputError(f"there is no engine {engine!r}. {nearest(engine, ENGINES)}")
    if engine == "unroll":
        return Choice("unroll", "requested")
    if engine != "auto":
        obstacle = _WHY_NOT[engine](request)
        if obstacle:
            raise InputError(f"engine {engine!r} cannot run this: {obstacle}. Use engine='auto' or 'unroll'")
        return Choice(engine, "requested")
    return _automatic(request)


def _automatic(request: Request) -> Choice:
    """The fixed table: compiled loops if they pay, torch's kernels if they fit, else the unrolled steps."""
    on_cpu = request.x.device.type == "cpu"
    no_native = native.why_not(request)
    if len(request.x) == 1 and on_cpu:
        # oneDNN reorders the weights at every call: 4.0 ms for one step at H = 512, against 0.2 ms for a plain step.
        return Choice("unroll", no_native or "a single step is faster without preparing weights for a kernel")
    if on_cpu and request.x.dtype == torch.float32:
        little = _work(request) < _WORTH_COMPILING
        no_cpu = "the batch is too small for compilation to pay" if little else support.why_not(request)
        if no_cpu is None:
            return Choice("cpu", "compiled loops are the fastest engine for this request")
        no_native = no_native and f"{no_native}; compiled: {no_cpu}"
    if no_native:
        return Choice("unroll", no_native)
    return Choice("native", "torch.nn has a kernel for this request")


def _work(request: Request) -> float:
    """Multiplications and additions of the forward pass's recurrent products."""
    T, B = request.x.shape[:2]
    return 2.0 * T * B * request.weights.hh.numel()


def engines_for(cell: Cell) -> tuple[str, ...]:
    """The names of the engines that run a cell on a plain batch."""
    H, G, R = 1, len(cell.gates), len(cell.recurrent)
    zeros = partial(torch.zeros, dtype=torch.float32, device="cpu")  # independent of torch's defaults
    vectors = tuple(zeros(H) for _ in cell.vectors)
    weights = Weights(zeros(G, 1), zeros(R, H), zeros(G), zeros(R), vectors=vectors)
    request = Request(cell, zeros(2, 1, 1), State(**{name: zeros(1, H) for name in cell.states}), weights)

    def runs(engine: str) -> bool:
        try:
            choose(request, engine)
        except InputError:
            return False
        return True

    return tuple(engine for engine in ENGINES if engine != "auto" and runs(engine))


def run(request: Request, engine: str = "auto") -> Result:
    """Runs the request on the named engine, or on the one that `choose` returns."""
    request = replace(_settled(request), call_cache={})
    chosen = choose(request, engine).engine
    # The matrix that multiplies h may be a function of the parameter: engines receive the matrix, and autograd passes
    # the gradient on to the parameter.
    hh = request.cell.recurrent_weight(request.weights.hh)
    request = replace(request, weights=request.weights._replace(hh=hh))
    if chosen == "cpu":
        from recurra.engine.cpu.autograd import cpu  # imports the compiler

        return cpu(request)
    loop = native.native if chosen == "native" else unroll
    keeps_less = 0 < request.recompute < len(request.x) and torch.is_grad_enabled()
    return in_pieces(request, loop) if keeps_less else loop(request)


def _settled(request: Request) -> Request:
    """The request without restarts if none is needed: without any, or with all at the step that is run first."""
    restarts = request.restarts
    is_traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
    if restarts is None or is_traced or torch._C._are_functorch_transforms_active():
        return request
    first = len(restarts.at) - 1 if request.reverse else 0
    if bool(restarts.at[:first].any()) or bool(restarts.at[first + 1 :].any()):
        return request
    state = restarts.before(first, request.state) if len(restarts.at) else request.state
    return replace(request, state=state, restarts=None)


_WHY_NOT = {"cpu": support.why_not, "native": native.why_not}
