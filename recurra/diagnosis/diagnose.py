"""The door: a network and a batch in, what was measured and what is to be thought of it out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn

from recurra.cells import cell_name
from recurra.diagnosis.context import useful_context
from recurra.diagnosis.diagnosis import Diagnosis
from recurra.diagnosis.findings import Layer, Measures
from recurra.diagnosis.gates import dead_units, gate_use
from recurra.diagnosis.jacobians import lyapunov_exponents, singular_values
from recurra.diagnosis.lags import TIMES, Lags, gradient_by_lag
from recurra.diagnosis.patching import call, evaluating
from recurra.diagnosis.reading import check_loss, read
from recurra.diagnosis.trajectory import Trajectory
from recurra.diagnosis.verdict import judge
from recurra.diagnosis.watch import Sequence, watched
from recurra.errors import InputError
from recurra.training.carried_state import tensors

LossOf = Callable[[Any], Tensor]


def diagnose(network: nn.Module, batch: Any, loss: LossOf | None = None) -> Diagnosis:
    """Why a network learns over time, or does not: gradients by lag, Jacobians, gates, memory and a verdict a layer.

    Every recurrent layer of recurra and of torch.nn inside the network, single-step cells too, is run step by step on
    the reference, in evaluation mode. The network is left as it was: no hooks, the same weights, `.grad`, mode and
    random state.

        diagnosis = recurra.diagnose(model, x, lambda scores: cross_entropy(scores, targets, reduction="none"))
        print(diagnosis)
        diagnosis.write("report.html")

    Args:
        network: any module with recurrent layers inside.
        batch: what to call it with: a tensor, a tuple of arguments, or a dictionary of them by name.
        loss: from the network's output to the losses. One a step and row, (T, B) or (B, T), tells most; of any other
            shape the sum counts, and the loss at t is what reads the recurrent layer's output at t. Where None, a
            random direction of the output at each step, from a generator of its own.

    Returns:
        The findings: `str()` of them is the verdicts, `write` makes a page of them.

    Raises:
        InputError: the network has no recurrent layer, or the loss does not depend on it.
    """
    with evaluating(network), torch.enable_grad():
        with watched(network) as sequences:
            output = call(network, batch)
        if not sequences:
            raise InputError(f"{type(network).__name__}: its recurrent layers were not called on this batch")
        total = check_loss((loss or _projected)(output), type(network).__name__)
        lags = lags_of(total, sequences)
        del output, total
        trajectories = [trajectory for sequence in sequences for trajectory in sequence.trajectories]
        measured = [_measure(trajectory, lags[id(trajectory)]) for trajectory in trajectories]
    context = None if loss is None else useful_context(network, batch, loss, sequences)
    layers = tuple(
        Layer(measures, judge(measures, trajectory.cell, has_bias=_has_bias(trajectory), context=context))
        for measures, trajectory in zip(measured, trajectories, strict=True)
    )
    return Diagnosis(layers, context)


def _projected(output: Any) -> Tensor:
    """A fixed random direction of the first tensor of an output, summed over steps and rows."""
    first = next((tensor for tensor in tensors(output) if tensor.is_floating_point()), None)
    if first is None:
        raise InputError("diagnose: the network returns no tensor of numbers: give a loss of its output")
    signs = torch.randint(0, 2, first.shape[-1:], generator=Generator().manual_seed(7_919)) * 2 - 1
    return (first * signs.to(first)).sum()


def lags_of(loss: Tensor, sequences: list[Sequence], *, times: int = TIMES) -> dict[int, Lags]:
    """The gradient by lag of every layer, by the identity of its trajectory; the loss as in `diagnose`."""
    found: dict[int, Lags] = {}
    for sequence in sequences:
        top = _aligned(sequence, sequences)
        for reverse in {one.reverse for one in sequence.trajectories}:
            layers = [one for one in sequence.trajectories if one.reverse is reverse]
            lags = gradient_by_lag(layers, read(loss, top, reverse=reverse), times=times)
            found |= {id(layer): of_layer for layer, of_layer in zip(layers, lags, strict=True)}
    return found


def _aligned(sequence: Sequence, sequences: list[Sequence]) -> Sequence:
    """The last sequence that goes along with this one step by step: at whose output the loss is divided into times."""
    # A decoder of as many steps as its encoder would be taken for a layer above it; a loss a step tells them apart.
    shape = sequence.length, sequence.trajectories[0].rows
    return next(one for one in reversed(sequences) if (one.length, one.trajectories[0].rows) == shape)


def _measure(trajectory: Trajectory, lags: Lags) -> Measures:
    broken = _broken_from(trajectory)
    finite = broken is None
    values = singular_values(trajectory) if finite else {}
    return Measures(
        name=trajectory.name,
        cell=cell_name(type(trajectory.cell)),
        units=trajectory.steps[0].request.weights.ih.shape[0] // len(trajectory.cell.gates),
        steps=len(trajectory.steps),
        gradient=tuple(lags.mean.tolist()),
        exponents=tuple(lyapunov_exponents(trajectory).tolist()) if finite else (),
        singular_values={k: tuple(some.tolist()) for k, some in values.items()},
        gates=gate_use(trajectory),
        dead=dead_units(trajectory),
        growth=_growth(trajectory, broken),
        broken_from=broken,
    )


def _broken_from(trajectory: Trajectory) -> int | None:
    """The first step with a state that is not finite."""
    for place, step in enumerate(trajectory.steps):
        if not all(bool(tensor.detach().isfinite().all()) for tensor in step.after):
            return place
    return None


def _growth(trajectory: Trajectory, broken: int | None) -> float:
    """What the norm of h is multiplied by a step, from the first quarter of the steps to the last finite one."""
    norms = trajectory.states("h")[:broken].double().norm(dim=(1, 2))
    first = len(norms) // 4
    if len(norms) - first < 2 or not norms[first] or not norms[-1]:
        return 1.0
    return math.exp(float((norms[-1] / norms[first]).log()) / (len(norms) - 1 - first))


def _has_bias(trajectory: Trajectory) -> bool:
    return trajectory.steps[0].request.weights.b_ih is not None
