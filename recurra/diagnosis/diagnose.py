"""The entry point of the diagnosis: measures a network on a batch and returns numbers and verdicts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn

from recurra.cells import cell_name
from recurra.diagnosis.context import useful_context
from recurra.diagnosis.diagnosis import Diagnosis
from recurra.diagnosis.gates import dead_units, gate_use
from recurra.diagnosis.jacobians import lyapunov_exponents, singular_values
from recurra.diagnosis.lags import TIMES, LagNorms, gradient_by_lag
from recurra.diagnosis.loss_by_time import check_loss, loss_by_time
from recurra.diagnosis.patching import call_network, evaluation_mode
from recurra.diagnosis.recording import RecordedSequence, record_sequences
from recurra.diagnosis.results import LayerDiagnosis, Measures
from recurra.diagnosis.trajectory import Trajectory
from recurra.diagnosis.verdict import judge
from recurra.errors import InputError
from recurra.training.carried_state import tensors

LossOf = Callable[[Any], Tensor]


def diagnose(network: nn.Module, batch: Any, loss: LossOf | None = None) -> Diagnosis:
    """Diagnoses gradients through time: gradient by lag, Jacobians, gate saturation, memory, and a verdict per layer.

    Every recurrent layer of recurra and of torch.nn in the network, single-step cells included, is run step by step on
    the reference engine, in evaluation mode. The network is not changed: weights, `.grad`, training mode, hooks and
    random state stay as they are.

        diagnosis = recurra.diagnose(model, x, lambda scores: cross_entropy(scores, targets, reduction="none"))
        print(diagnosis)
        diagnosis.write("report.html")

    Args:
        network: any module that contains recurrent layers.
        batch: the arguments of the network: a tensor, a tuple of arguments, or a dictionary of keyword arguments.
        loss: maps the network's output to the losses. Losses per step and row, (T, B) or (B, T), give the most precise
            results. For any other shape the sum is used, and the loss at t is its part that depends on the recurrent
            layer's output at t. If None, a random projection of the output at each step, from a separate generator.

    Returns:
        The diagnosis: `str()` returns the verdicts, `write` writes a report with figures.

    Raises:
        InputError: the network has no recurrent layer, or the loss does not depend on it.
    """
    with evaluation_mode(network), torch.enable_grad():
        with record_sequences(network) as sequences:
            output = call_network(network, batch)
        if not sequences:
            raise InputError(f"{type(network).__name__}: its recurrent layers were not called on this batch")
        total = check_loss((loss or _projected)(output), type(network).__name__)
        lags = norms_by_lag(total, sequences)
        del output, total
        trajectories = [trajectory for sequence in sequences for trajectory in sequence.trajectories]
        measured = [_measure(trajectory, lags[id(trajectory)]) for trajectory in trajectories]
    context = None if loss is None else useful_context(network, batch, loss, sequences)
    layers = tuple(
        LayerDiagnosis(measures, judge(measures, trajectory.cell, has_bias=_has_bias(trajectory), context=context))
        for measures, trajectory in zip(measured, trajectories, strict=True)
    )
    return Diagnosis(layers, context)


def _projected(output: Any) -> Tensor:
    """A fixed random projection of the first floating-point tensor of an output, summed over steps and rows."""
    first = next((tensor for tensor in tensors(output) if tensor.is_floating_point()), None)
    if first is None:
        raise InputError("diagnose: the network returns no floating-point tensor: pass loss=, a function of its output")
    signs = torch.randint(0, 2, first.shape[-1:], generator=Generator().manual_seed(7_919)) * 2 - 1
    return (first * signs.to(first)).sum()


def norms_by_lag(loss: Tensor, sequences: list[RecordedSequence], *, times: int = TIMES) -> dict[int, LagNorms]:
    """Returns the gradient norms by lag of every layer, by the id() of its trajectory; the loss is as in `diagnose`."""
    norms: dict[int, LagNorms] = {}
    for sequence in sequences:
        top = _aligned(sequence, sequences)
        for reverse in {one.reverse for one in sequence.trajectories}:
            layers = [one for one in sequence.trajectories if one.reverse is reverse]
            lags = gradient_by_lag(layers, loss_by_time(loss, top, reverse=reverse), times=times)
            norms |= {id(layer): of_layer for layer, of_layer in zip(layers, lags, strict=True)}
    return norms


def _aligned(sequence: RecordedSequence, sequences: list[RecordedSequence]) -> RecordedSequence:
    """The last sequence with the same number of steps and rows: the loss is divided by time at its output."""
    # A decoder with as many steps as its encoder looks like a layer above it; losses per step avoid the ambiguity.
    shape = sequence.length, sequence.trajectories[0].rows
    return next(one for one in reversed(sequences) if (one.length, one.trajectories[0].rows) == shape)


def _measure(trajectory: Trajectory, lags: LagNorms) -> Measures:
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
    """Growth factor of the norm of h per step, from the end of the first quarter to the last finite step."""
    norms = trajectory.states("h")[:broken].double().norm(dim=(1, 2))
    first = len(norms) // 4
    if len(norms) - first < 2 or not norms[first] or not norms[-1]:
        return 1.0
    return math.exp(float((norms[-1] / norms[first]).log()) / (len(norms) - 1 - first))


def _has_bias(trajectory: Trajectory) -> bool:
    return trajectory.steps[0].request.weights.b_ih is not None
