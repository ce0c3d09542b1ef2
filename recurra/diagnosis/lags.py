"""The gradient of the loss at t with respect to the state at t - k, by the lag k."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.diagnosis.loss_by_time import LossByTime
from recurra.diagnosis.trajectory import Trajectory

TIMES = 4
"""Number of times t at which the loss is differentiated."""
FROM = 0.75
"""The first of these times as a share of a row's steps: lags up to it are measured from all times."""


@dataclass(frozen=True)
class LagNorms:
    """Gradient norms by lag of one layer and direction."""

    norms: Tensor
    """(times, lags, B): gradient of the loss at a time of a row with respect to the state k steps before; NaN where
    there is no such step."""

    @property
    def mean(self) -> Tensor:
        """The mean norm by lag, (lags,), for the lags that at least half of all losses reach."""
        reached = ~self.norms.isnan() & self._read[:, None]  # (times, lags, B)
        counts = reached.sum((0, 2))  # (lags,)
        totals = self.norms.where(reached, 0).sum((0, 2))
        enough = int((counts * 2 >= counts[:1]).sum()) if len(counts) and counts[0] else 0
        return totals[:enough] / counts[:enough]

    @property
    def _read(self) -> Tensor:
        """The times and rows with a loss that depends on the state, (times, B); one that is not finite counts."""
        return (self.norms.nan_to_num(0.0, torch.inf) > 0).any(1)


def gradient_by_lag(trajectories: list[Trajectory], loss: LossByTime, *, times: int = TIMES) -> list[LagNorms]:
    """Computes the norms of ∂L_t/∂s_{t-k} for all k, exactly, with one backward pass for each of several times t.

    s is the whole state of a layer, (h, c) for an LSTM. The derivative is total: it includes the layers above.

    Args:
        trajectories: layers of one sequence, all of one direction; in a backward direction the state k steps before is
            that at t + k.
        loss: which part of the loss belongs to a time.
        times: maximal number of times t.

    Returns:
        For each layer its norms at these times, in the last quarter of each row.
    """
    present, reverse = trajectories[0].present, trajectories[0].reverse  # (steps, B)
    steps = len(present)
    places = chosen_places(present, times)  # (times, B), in the order of processing
    nodes = [list(step.after) for one in trajectories for step in one.steps]
    inputs = [tensor for state in nodes for tensor in state]
    by_layer: list[list[Tensor]] = [[] for _ in trajectories]
    for place in places:
        outputs, by = loss.at(steps - 1 - place if reverse else place)
        gradients = iter(torch.autograd.grad(outputs, inputs, by, retain_graph=True, allow_unused=True))
        norms = torch.stack([_norm([(next(gradients), tensor) for tensor in state]) for state in nodes])
        for index, of_layer in enumerate(norms.split(steps)):  # (steps, B)
            by_layer[index].append(_by_lag(of_layer, place, present))
    return [LagNorms(torch.stack(norms)) for norms in by_layer]


def chosen_places(present: Tensor, times: int) -> Tensor:
    """Returns the steps at which the loss is differentiated, int64 (times, B), counted in the order of processing.

    Args:
        present: bool (steps, B), contiguous in each row.
        times: maximal number of steps; the last step is always one.
    """
    length, first = present.sum(0), present.int().argmax(0)  # (B,)
    shares = torch.linspace(1, FROM, times, device=present.device, dtype=torch.float64)
    places = (shares[:, None] * (length - 1).clamp(min=0)).round().long() + first  # (times, B)
    unique: Tensor = torch.unique(places, dim=0)
    return unique


def _norm(pairs: list[tuple[Tensor | None, Tensor]]) -> Tensor:
    """The norm of each row's gradient with respect to all tensors of a state, (B,)."""
    squares = [
        tensor.new_zeros(len(tensor), dtype=torch.float64) if gradient is None else gradient.double().square().sum(-1)
        for gradient, tensor in pairs
    ]
    return torch.stack(squares).sum(0).sqrt()


def _by_lag(norms: Tensor, place: Tensor, present: Tensor) -> Tensor:
    """Converts norms by step, (steps, B), to norms by lag before each row's place; NaN before the start of a row."""
    lag = torch.arange(len(norms), device=norms.device)[:, None]
    source = place[None] - lag  # (lags, B)
    inside = (source >= 0) & present.gather(0, source.clamp(min=0))
    return norms.gather(0, source.clamp(min=0)).where(inside, torch.nan)
