"""The gradient of the loss at t with respect to the state at t - k, by the lag k."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.diagnosis.reading import Reading
from recurra.diagnosis.trajectory import Trajectory

TIMES = 4
"""How many times of the loss are looked at."""
FROM = 0.75
"""The share of a row's steps before the first of them: lags up to there are measured from all of them."""


@dataclass(frozen=True)
class Lags:
    """Norms of gradients by lag, of one layer and direction."""

    norms: Tensor
    """(times, lags, B): of the loss at time n of a row with respect to the state k steps before; not a number where
    there is no such step."""

    @property
    def mean(self) -> Tensor:
        """The mean norm by lag, (lags,); of the lags that at least half of all losses reach back to."""
        reached = ~self.norms.isnan() & self._read[:, None]  # (times, lags, B)
        counts = reached.sum((0, 2))  # (lags,)
        totals = self.norms.where(reached, 0).sum((0, 2))
        enough = int((counts * 2 >= counts[:1]).sum()) if len(counts) and counts[0] else 0
        return totals[:enough] / counts[:enough]

    @property
    def _read(self) -> Tensor:
        """The times and rows at which there is a loss at all, (times, B); one that is not finite counts."""
        return (self.norms.nan_to_num(0.0, torch.inf) > 0).any(1)


def gradient_by_lag(trajectories: list[Trajectory], reading: Reading, *, times: int = TIMES) -> list[Lags]:
    """The norms of ∂L_t/∂s_{t-k} for all k, exactly, by one backward pass for each of some times t.

    s is the whole state of a layer, (h, c) for an LSTM, and the derivative a total one: also through the layers above.

    Args:
        trajectories: layers of one sequence, all of one direction; in those that run from the end the state k steps
            before is the one at t + k.
        reading: which part of the loss belongs to a time.
        times: how many times of the loss are looked at, at most.

    Returns:
        For each layer its norms at those times, in the last quarter of each row.
    """
    present, reverse = trajectories[0].present, trajectories[0].reverse  # (steps, B)
    steps = len(present)
    places = chosen_places(present, times)  # (times, B), in the order of processing
    nodes = [list(step.after) for one in trajectories for step in one.steps]
    inputs = [tensor for state in nodes for tensor in state]
    found: list[list[Tensor]] = [[] for _ in trajectories]
    for place in places:
        outputs, by = reading.pull(steps - 1 - place if reverse else place)
        gradients = iter(torch.autograd.grad(outputs, inputs, by, retain_graph=True, allow_unused=True))
        norms = torch.stack([_norm([(next(gradients), tensor) for tensor in state]) for state in nodes])
        for index, of_layer in enumerate(norms.split(steps)):  # (steps, B)
            found[index].append(_by_lag(of_layer, place, present))
    return [Lags(torch.stack(norms)) for norms in found]


def chosen_places(present: Tensor, times: int) -> Tensor:
    """Steps at which the loss is looked at, int64 (times, B), counted in the order of processing.

    Args:
        present: bool (steps, B), an unbroken run in each row.
        times: how many, at most; the last step is always one.
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
    """Norms by step, (steps, B), as norms by lag before each row's place; not a number before the row's start."""
    lag = torch.arange(len(norms), device=norms.device)[:, None]
    source = place[None] - lag  # (lags, B)
    inside = (source >= 0) & present.gather(0, source.clamp(min=0))
    return norms.gather(0, source.clamp(min=0)).where(inside, torch.nan)
