"""The reference: a cell's step in a plain loop over time. It defines what every other engine must compute."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.cells import Cell, Gates, Recurrence, State, Weights, where
from recurra.engine.request import Request, Result


def unroll(request: Request) -> Result:
    """Runs the request step by step in PyTorch operators: any cell, device, dtype and order of derivative."""
    cell, weights = request.cell, request.weights
    x, present = request.x, None
    if request.lengths is not None:
        present = request.present.unbind(0)
        # What stands in the padding must not reach a gradient as 0 · NaN.
        x = x.masked_fill(~request.present, 0)
    inputs = F.linear(x, weights.ih, weights.b_ih).unbind(0)  # T × (B, G·H)
    recurrence = _recurrence(cell, weights)
    vectors = Gates(**dict(zip(cell.vectors, weights.vectors, strict=True)))
    state, emitted = request.state, [x.new_empty(0)] * len(inputs)
    for t in _order(len(inputs), request.reverse):
        gates = Gates(**dict(zip(cell.gates, inputs[t].chunk(len(cell.gates), -1), strict=True)))
        new, _ = cell.step(gates, recurrence(state.h), state, vectors)
        if weights.hr is not None:
            new = State(**{**new._asdict(), "h": F.linear(new.h, weights.hr)})
        # A row that has ended keeps its state; in reverse it keeps the initial one until its end is reached.
        state = new if present is None else where(present[t], new, state)
        emitted[t] = new.h
    y = torch.stack(emitted) if emitted else x.new_empty(0, x.shape[1], state.h.shape[-1])  # (T, B, P)
    return Result(y if present is None else y.masked_fill(~request.present, 0), state)


def _order(steps: int, reverse: bool) -> range:
    return range(steps - 1, -1, -1) if reverse else range(steps)


def _recurrence(cell: Cell, weights: Weights) -> Callable[[Tensor], Recurrence]:
    """From h to u. Products of what the formula itself computes (`u("n", r * s.h)`) wait until it asks for them."""
    names = cell.recurrent
    if not names:
        return lambda h: Recurrence({}, None)
    W = dict(zip(names, weights.hh.chunk(len(names)), strict=True))
    b = dict(zip(names, weights.b_hh.chunk(len(names)), strict=True)) if weights.b_hh is not None else {}
    first = [name for name in names if name not in cell.second_phase]
    whole = len(first) == len(names)
    W_first = weights.hh if whole else torch.cat([W[name] for name in first]) if first else None
    b_first = None if weights.b_hh is None else weights.b_hh if whole else torch.cat([b[name] for name in first])

    def product(gate: str, v: Tensor) -> Tensor:
        return F.linear(v, W[gate], b.get(gate))

    def at(h: Tensor) -> Recurrence:
        if W_first is None:
            return Recurrence({}, product)
        blocks = F.linear(h, W_first, b_first).chunk(len(first), -1)  # each (B, H)
        return Recurrence(dict(zip(first, blocks, strict=True)), product)

    return at
