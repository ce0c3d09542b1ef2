"""The one door to the engines: picks one by a fixed table, and says why.

The choice depends on the request alone, never on a timing, so that a run repeats to the bit.
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

# Multiplications and additions of the recurrent products from which compiling a formula, once, is worth it.
_WORTH_COMPILING = 2e7


class Choice(NamedTuple):
    """The engine that runs a request, and the reason in words."""

    engine: str
    why: str


def choose(request: Request, engine: str = "auto") -> Choice:
    """The engine for a request.

    Raises:
        InputError: no engine has that name, or the one asked for cannot run the request.
    """
    if engine not in ENGINES:
        raise InputError(f"there is no engine {engine!r}. {nearest(engine, ENGINES)}")
    if engine == "unroll":
        return Choice("unroll", "asked for")
    if engine != "auto":
        obstacle = _WHY_NOT[engine](request)
        if obstacle:
            raise InputError(f"engine {engine!r} cannot run this: {obstacle}. Use engine='auto' or 'unroll'")
        return Choice(engine, "asked for")
    return _automatic(request)


def _automatic(request: Request) -> Choice:
    """The fixed table: compiled loops where they pay, torch's kernels where they fit, the reference."""
    on_cpu = request.x.device.type == "cpu"
    no_native = native.why_not(request)
    if len(request.x) == 1 and on_cpu:
        # oneDNN reorders the weights at every call: 4.0 ms for one step at H = 512 against 0.2 ms of a plain step.
        return Choice("unroll", no_native or "one step alone is faster without preparing weights for a kernel")
    if on_cpu and request.x.dtype == torch.float32:
        little = _work(request) < _WORTH_COMPILING
        no_cpu = "so little work is not worth compiling for" if little else support.why_not(request)
        if no_cpu is None:
            return Choice("cpu", "the formula compiled for this processor is the fastest")
        no_native = no_native and f"{no_native}; compiled: {no_cpu}"
    if no_native:
        return Choice("unroll", no_native)
    return Choice("native", "torch.nn has a kernel for exactly this")


def _work(request: Request) -> float:
    """Multiplications and additions of the forward pass's recurrent products."""
    T, B = request.x.shape[:2]
    return 2.0 * T * B * request.weights.hh.numel()


def engines_for(cell: Cell) -> tuple[str, ...]:
    """The engines that run a cell at least on a plain batch, by name."""
    H, G, R = 1, len(cell.gates), len(cell.recurrent)
    zeros = partial(torch.zeros, dtype=torch.float32, device="cpu")  # whatever the defaults of the process are
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
    """Runs the request on the engine named, or on the one `choose` picks."""
    request = replace(request, known={})
    chosen = choose(request, engine).engine
    # The matrix that multiplies h may be a function of the parameter; engines see the matrix, gradients the parameter.
    hh = request.cell.recurrent_weight(request.weights.hh)
    request = replace(request, weights=request.weights._replace(hh=hh))
    if chosen == "cpu":
        from recurra.engine.cpu.autograd import cpu  # brings the compiler

        return cpu(request)
    loop = native.native if chosen == "native" else unroll
    keeps_less = 0 < request.recompute < len(request.x) and torch.is_grad_enabled()
    return in_pieces(request, loop) if keeps_less else loop(request)


_WHY_NOT = {"cpu": support.why_not, "native": native.why_not}
