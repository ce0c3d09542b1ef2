"""Records one layer and direction step by step along a sequence, so that each state is a node of the graph."""

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


class TrajectoryStep(NamedTuple):
    """One recorded step of a layer."""

    request: Request
    """The request of this step only, x (1, B, I), with the final recurrent weight matrix."""
    after: State
    """The state after the step, tensors (B, size) that are independent of each other for autograd."""
    gates: Gates
    """(B, H) each."""
    present: Tensor
    """Whether a row has this step, bool (B,)."""


@dataclass
class Trajectory:
    """The steps of one layer and direction in the order of processing."""

    name: str
    """Name of the layer for display."""
    cell: Cell
    reverse: bool
    steps: list[TrajectoryStep] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """B."""
        return len(self.steps[0].present)

    @property
    def size(self) -> int:
        """Size of the whole state of one row, S."""
        return sum(tensor.shape[-1] for tensor in self.steps[0].after)

    @property
    def present(self) -> Tensor:
        """Which rows have which steps, bool (steps, B)."""
        return torch.stack([step.present for step in self.steps])

    def states(self, name: str) -> Tensor:
        """The named part of the state after every step, (steps, B, size), detached."""
        return torch.stack([getattr(step.after, name).detach() for step in self.steps])


def record(request: Request) -> tuple[Result, list[TrajectoryStep]]:
    """Runs a request step by step on the reference, and returns the result and every step.

    Each tensor of each state becomes a separate node of the graph: h_t does not depend on c_t, so that the gradient
    with respect to (h_t, c_t) treats the state as one vector of independent numbers, as the Jacobian of a step does.

    Raises:
        InputError: there is no step or no row.
    """
    if not request.x.shape[0] or not request.x.shape[1]:
        raise InputError(
            f"diagnose: a recurrent layer got x {tuple(request.x.shape)}, (time, batch, features): "
            "expected at least one step and one row"
        )
    weights = request.weights._replace(hh=request.cell.recurrent_weight(request.weights.hh))
    order = range(len(request.x))
    state, steps = request.state, list[TrajectoryStep]()
    for t in reversed(order) if request.reverse else order:
        one = _at(replace(request, weights=weights, state=state), t)
        result = unroll(one)
        assert result.kept is not None
        state = State(**{name: _node(tensor) for name, tensor in zip(result.state._fields, result.state, strict=True)})
        gates = Gates(**{name: gate[0] for name, gate in zip(result.kept._fields, result.kept, strict=True)})
        present = one.lengths > 0 if one.lengths is not None else torch.ones(len(state.h), dtype=torch.bool)
        steps.append(TrajectoryStep(one, state, gates, present.to(request.x.device)))
    return _result(request, steps, state), steps


def _at(request: Request, t: int) -> Request:
    """The request of one step."""
    lengths = None if request.lengths is None else (request.lengths > t).long()
    zoneout = tuple(m if m is None or len(m) == 1 else m[t : t + 1] for m in request.masks.zoneout)
    masks = Masks(request.masks.h, zoneout)
    restarts = None if request.restarts is None else request.restarts.window(t, t + 1)
    x = request.x[t : t + 1]
    return replace(request, x=x, lengths=lengths, masks=masks, restarts=restarts, reverse=False, keep=True)


def _node(tensor: Tensor) -> Tensor:
    """A separate node for the tensor; a leaf that requires a gradient if nothing before it does."""
    return tensor.clone() if tensor.requires_grad else tensor.detach().clone().requires_grad_()


def _result(request: Request, steps: list[TrajectoryStep], last: State) -> Result:
    """The result that the engine would return, assembled from the recorded states."""
    outputs = [_output(step) for step in steps]
    kept = [step.gates for step in steps]
    if request.reverse:
        outputs.reverse()
        kept.reverse()
    names = request.cell.formula.shown
    gates = Gates(**{name: torch.stack([getattr(gate, name) for gate in kept]) for name in names})
    # The last state is copied, so that a loss on the final state is separate from one on the output of the last step.
    return Result(torch.stack(outputs), last.map(Tensor.clone), gates if request.keep else None)


def _output(step: TrajectoryStep) -> Tensor:
    """The output of a layer for the state after a step, (B, H) or (B, P)."""
    hr = step.request.weights.hr
    projects = hr is not None and step.request.cell.formula.reads_h
    y = F.linear(step.after.h, hr) if projects and hr is not None else step.after.h
    return y.masked_fill(~step.present[:, None], 0)


def flatten(state: State) -> Tensor:
    """Concatenates a state to one vector per row, (B, S)."""
    return torch.cat(list(state), -1)


def common_steps(trajectory: Trajectory, count: int) -> tuple[Tensor, range]:
    """Returns the longest rows, at most `count`, and the range of steps that all of them have."""
    present = trajectory.present  # (steps, B)
    rows = present.sum(0).argsort(descending=True, stable=True)[:count]
    shared = present[:, rows].all(1).nonzero().flatten().tolist()
    return rows, range(shared[0], shared[-1] + 1) if shared else range(0)
