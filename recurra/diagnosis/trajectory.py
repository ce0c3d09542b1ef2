"""One layer in one direction taken step by step along a sequence, so that each state stands in the graph by itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.cells import Cell, Gates, State
from recurra.engine import Masks, Request, Result
from recurra.engine.unroll import unroll
from recurra.errors import InputError


class Step(NamedTuple):
    """One step of a layer."""

    request: Request
    """Of this step alone, x (1, B, I), with the matrix that multiplies h ready made."""
    after: State
    """The state after it, tensors (B, size) that autograd takes for independent of each other."""
    gates: Gates
    """(B, H) each."""
    present: Tensor
    """Whether a row has this step, bool (B,)."""


@dataclass
class Trajectory:
    """The steps of one layer and direction in the order in which it takes them."""

    name: str
    """Of the layer, for people."""
    cell: Cell
    reverse: bool
    steps: list[Step] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """B."""
        return len(self.steps[0].present)

    @property
    def size(self) -> int:
        """Numbers in the state of one row, S."""
        return sum(tensor.shape[-1] for tensor in self.steps[0].after)

    @property
    def present(self) -> Tensor:
        """Where rows have steps, bool (steps, B)."""
        return torch.stack([step.present for step in self.steps])

    def states(self, name: str) -> Tensor:
        """One state after every step, (steps, B, size), cut from the graph."""
        return torch.stack([getattr(step.after, name).detach() for step in self.steps])


def record(request: Request) -> tuple[Result, list[Step]]:
    """Runs a request step by step as the reference does, and keeps every step.

    Each tensor of each state becomes a node of its own: c_t is not known to h_t, so that the gradient with respect to
    the state (h_t, c_t) is that of its numbers as a vector, which is what Jacobians of a step multiply.

    Raises:
        InputError: there is no step or no row.
    """
    if not request.x.shape[0] or not request.x.shape[1]:
        raise InputError(
            f"diagnose: a recurrent layer was given x {tuple(request.x.shape)}, (time, batch, features): "
            "expected a step and a row at least"
        )
    weights = request.weights._replace(hh=request.cell.recurrent_weight(request.weights.hh))
    order = range(len(request.x))
    state, steps = request.state, list[Step]()
    for t in reversed(order) if request.reverse else order:
        one = _at(replace(request, weights=weights, state=state), t)
        result = unroll(one)
        assert result.kept is not None
        state = State(**{name: _node(tensor) for name, tensor in zip(result.state._fields, result.state, strict=True)})
        gates = Gates(**{name: gate[0] for name, gate in zip(result.kept._fields, result.kept, strict=True)})
        present = one.lengths > 0 if one.lengths is not None else torch.ones(len(state.h), dtype=torch.bool)
        steps.append(Step(one, state, gates, present.to(request.x.device)))
    return _result(request, steps, state), steps


def _at(request: Request, t: int) -> Request:
    """The request of one step."""
    lengths = None if request.lengths is None else (request.lengths > t).long()
    zoneout = tuple(m if m is None or len(m) == 1 else m[t : t + 1] for m in request.masks.zoneout)
    masks = Masks(request.masks.h, zoneout)
    return replace(request, x=request.x[t : t + 1], lengths=lengths, masks=masks, reverse=False, keep=True)


def _node(tensor: Tensor) -> Tensor:
    """The tensor apart from others computed with it; a start of the graph where nothing before it is one."""
    return tensor.clone() if tensor.requires_grad else tensor.detach().clone().requires_grad_()


def _result(request: Request, steps: list[Step], last: State) -> Result:
    """What the engine would return, made of the states that were kept."""
    emitted = [_emitted(step) for step in steps]
    kept = [step.gates for step in steps]
    if request.reverse:
        emitted.reverse()
        kept.reverse()
    names = request.cell.formula.shown
    gates = Gates(**{name: torch.stack([getattr(gate, name) for gate in kept]) for name in names})
    # A copy of the last state: what else is read of it is told from what the layer emits.
    return Result(torch.stack(emitted), last.map(Tensor.clone), gates if request.keep else None)


def _emitted(step: Step) -> Tensor:
    """What a layer emits of the state it has come to, (B, H) or (B, P)."""
    hr = step.request.weights.hr
    projects = hr is not None and step.request.cell.formula.reads_h
    y = F.linear(step.after.h, hr) if projects and hr is not None else step.after.h
    return y.masked_fill(~step.present[:, None], 0)


def flat(state: State) -> Tensor:
    """A state as one vector a row, (B, S)."""
    return torch.cat(list(state), -1)


def span(trajectory: Trajectory, count: int) -> tuple[Tensor, range]:
    """The longest rows, at most `count`, and the range of steps that all of them have."""
    present = trajectory.present  # (steps, B)
    rows = present.sum(0).argsort(descending=True, stable=True)[:count]
    shared = present[:, rows].all(1).nonzero().flatten().tolist()
    return rows, range(shared[0], shared[-1] + 1) if shared else range(0)
