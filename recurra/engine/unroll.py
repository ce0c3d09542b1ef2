"""The reference engine: a cell's step in a loop over time, which defines the results of all engines."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.cells import Gates, State, Weights, where
from recurra.cells.cell import Formula
from recurra.engine.request import Request, Result
from recurra.engine.wrappers import input_part, recurrent_part_of, vectors_of, zone_out
from recurra.errors import InputError


def unroll(request: Request) -> Result:
    """Runs the request step by step in PyTorch operators: any cell, device, dtype and order of derivative."""
    weights, x = request.weights, request.x
    if request.lengths is not None:
        # NaN in the padding must not reach a gradient as 0 · NaN.
        x = x.masked_fill(~request.present, 0)
    formula = formula_of(request)
    result = unroll_steps(request, formula, input_part(request.cell, weights, x))
    if weights.hr is not None and formula.reads_h:
        return result._replace(y=F.linear(result.y, weights.hr))  # (T, B, P)
    return result


def unroll_steps(request: Request, formula: Formula, z: Tensor) -> Result:
    """Runs only the steps, without the input's product and a projection of the output.

    Args:
        request: the request; only the shape of its x is read.
        formula: the properties of the step.
        z: the pre-activations of the input, (T, B, G·H).

    Returns:
        y (T, B, size of h), not projected if the formula reads h itself.
    """
    cell, weights, masks, x = request.cell, request.weights, request.masks, request.x
    present = None if request.lengths is None else request.present.unbind(0)
    inputs = z.unbind(0)  # T × (B, G·H)
    recurrence = recurrent_part_of(cell, formula, weights, masks.h)
    norms = None if weights.norms is None else weights.norms.states
    vectors = vectors_of(cell.vectors, formula, weights.vectors, norms)
    zoneout = _by_step(masks.zoneout, x)
    state = request.state
    emitted: list[Tensor] = []
    kept: list[Gates] = []
    for t in _order(len(inputs), request.reverse):
        if request.restarts is not None:
            state = request.restarts.before(t, state)
        # (B, G·H) to G blocks of (B, H).
        gates = Gates(**dict(zip(cell.gates, inputs[t].chunk(len(cell.gates), -1), strict=True)))
        new, shown = cell.step(gates, recurrence(state.h), state, vectors)
        new = _projected(formula, weights, new)
        if zoneout is not None:
            new = zone_out(new, state, zoneout[t])
        emitted.append(new.h)
        if request.keep:
            kept.append(shown)
        # A row that has ended keeps its state; in reverse it keeps the initial state until its last step is reached.
        state = new if present is None else where(present[t], new, state)
    if request.reverse:
        emitted.reverse()
        kept.reverse()
    y = _over_time(request, emitted, state.h.shape[-1])  # (T, B, P), or (T, B, H)
    return Result(y, state, _kept(request, kept) if request.keep else None)


def formula_of(request: Request) -> Formula:
    """The properties of the step that the request depends on: only a projection and norms need the present ones.

    Raises:
        InputError: with a projection, the state has not the width that the formula needs.
    """
    cell, weights = request.cell, request.weights
    if weights.hr is None and weights.norms is None:
        return cell.known_formula
    formula = cell.formula
    problem = misfit(request, formula)
    if problem is not None:
        raise InputError(f"{type(cell).__name__}: {problem}. Create the layer again")
    return formula


def misfit(request: Request, formula: Formula) -> str | None:
    """Why a layer that was created for another formula of the cell does not fit this one; None if it fits."""
    weights = request.weights
    if weights.hr is not None:
        H = weights.ih.shape[0] // len(request.cell.gates)
        wide, uses = (H, "reads") if formula.reads_h else (weights.hr.shape[0], "does not read")
        if request.state.h.shape[-1] != wide:
            return f"its step now {uses} s.h, so that its state h has size {wide}, not {request.state.h.shape[-1]}"
    if weights.norms is not None and len(weights.norms.states) != len(formula.normalised):
        return f"its step now normalises the states {formula.normalised}, but {len(weights.norms.states)} have a gain"
    return None


def _order(steps: int, reverse: bool) -> range:
    return range(steps - 1, -1, -1) if reverse else range(steps)


def _by_step(zoneout: tuple[Tensor | None, ...], x: Tensor) -> list[tuple[Tensor | None, ...]] | None:
    """The zoneout masks of each step, (B, size) per state; None without zoneout."""
    if not zoneout:
        return None
    T = len(x)
    steps = ([None] * T if mask is None else mask.expand(T, *mask.shape[1:]).unbind(0) for mask in zoneout)
    return list(zip(*steps, strict=True))


def _projected(formula: Formula, weights: Weights, new: State) -> State:
    """The state with W_hr h in place of h, unless the formula reads its own h, which stays H wide."""
    if weights.hr is None or formula.reads_h:
        return new
    return State(**{**new._asdict(), "h": F.linear(new.h, weights.hr)})


def _kept(request: Request, steps: list[Gates]) -> Gates:
    width = request.weights.ih.shape[0] // len(request.cell.gates)
    names = steps[0]._fields if steps else request.cell.formula.shown
    return Gates(**{name: _over_time(request, [getattr(step, name) for step in steps], width) for name in names})


def _over_time(request: Request, steps: Sequence[Tensor], width: int) -> Tensor:
    """One tensor (T, B, width) of T × (B, width), 0 past each row's length."""
    if not steps:
        return request.x.new_empty(0, request.x.shape[1], width)
    stacked = torch.stack(list(steps))
    return stacked if request.lengths is None else stacked.masked_fill(~request.present, 0)
