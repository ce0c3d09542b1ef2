"""The one door to the engines: picks one by a fixed table, and says why.

The choice depends on the request alone, never on a timing, so that a run repeats to the bit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch

from recurra.cells import Cell, State, Weights
from recurra.engine.native import native, why_not
from recurra.engine.request import Request, Result
from recurra.engine.unroll import unroll
from recurra.errors import InputError, nearest

ENGINES = ("auto", "native", "unroll")


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
    obstacle = why_not(request)
    if engine == "native":
        if obstacle:
            raise InputError(f"engine 'native' cannot run this: {obstacle}. Use engine='auto' or 'unroll'")
        return Choice("native", "asked for")
    if obstacle:
        return Choice("unroll", obstacle)
    if len(request.x) == 1 and request.x.device.type == "cpu":
        # oneDNN reorders the weights at every call: 4.0 ms for one step at H = 512 against 0.2 ms of a plain step.
        return Choice("unroll", "one step alone is faster without the kernel's preparation of its weights")
    return Choice("native", "torch.nn has a kernel for exactly this")


def engines_for(cell: Cell) -> tuple[str, ...]:
    """The engines that run a cell at least on a plain batch, by name."""
    H, G, R = 1, len(cell.gates), len(cell.recurrent)
    vectors = tuple(torch.zeros(H) for _ in cell.vectors)
    weights = Weights(torch.zeros(G, 1), torch.zeros(R, H), torch.zeros(G), torch.zeros(R), vectors=vectors)
    request = Request(cell, torch.zeros(2, 1, 1), State(**{name: torch.zeros(1, H) for name in cell.states}), weights)

    def runs(engine: str) -> bool:
        try:
            choose(request, engine)
        except InputError:
            return False
        return True

    return tuple(engine for engine in ENGINES if engine != "auto" and runs(engine))


def run(request: Request, engine: str = "auto") -> Result:
    """Runs the request on the engine named, or on the one `choose` picks."""
    run_it = native if choose(request, engine).engine == "native" else unroll
    # The matrix that multiplies h may be a function of the parameter; engines see the matrix, gradients the parameter.
    hh = request.cell.recurrent_weight(request.weights.hh)
    return run_it(replace(request, weights=request.weights._replace(hh=hh)))
