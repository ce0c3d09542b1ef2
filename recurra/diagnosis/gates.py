"""Gate statistics over a batch: histograms, saturation, dead and stuck units."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.cells import Cell, Gates, Recurrence, State, Vectors
from recurra.diagnosis import thresholds
from recurra.diagnosis.trajectory import Trajectory

BINS = 24
"""Number of bins of a histogram."""
_FAR = 30.0  # a pre-activation at which every bounded function is at its limit in float32


@dataclass(frozen=True)
class GateUse:
    """Statistics of one gate of a layer over a batch; of h for a cell that returns no gates."""

    gate: str
    lowest: float
    highest: float
    """The range of the gate's activation function, or of the values if the function is unbounded."""
    histogram: tuple[float, ...]
    """The share of values in each of `BINS` equal bins of the range; empty if a value is not finite."""
    mean: float
    low: float
    """The share of values saturated at the lower end; 0 for an unbounded function."""
    high: float
    """The share of values saturated at the upper end."""
    stuck: float
    """The share of units that are almost always saturated at the same end."""

    @property
    def saturated(self) -> float:
        """The share saturated at either end."""
        return self.low + self.high


def gate_use(trajectory: Trajectory) -> tuple[GateUse, ...]:
    """Returns the statistics of each gate; of h if the cell returns no gates (an Elman network)."""
    present = trajectory.present  # (steps, B)
    shown = trajectory.cell.formula.shown
    bounds = ranges(trajectory.cell)
    values = {name: torch.stack([getattr(step.gates, name).detach() for step in trajectory.steps]) for name in shown}
    values = values or {"h": trajectory.states("h")}
    return tuple(_use(name, value, present, bounds[name]) for name, value in values.items())


def dead_units(trajectory: Trajectory) -> float:
    """Returns the share of units whose h is 0 at every step of every row."""
    h = trajectory.states("h").abs().masked_fill(~trajectory.present[..., None], 0)  # (steps, B, H)
    return float((h.amax((0, 1)) < thresholds.DEAD).float().mean())


def ranges(cell: Cell) -> dict[str, tuple[float, float] | None]:
    """Returns the range of each gate that the cell returns, and of h: (0, 1), (-1, 1), or None if it is unbounded.

    The formula is evaluated with every pre-activation at a large positive and at a large negative value.
    """
    ends = [_at(cell, torch.full((1, 1), far)) for far in (_FAR, -_FAR)]
    bounds: dict[str, tuple[float, float] | None] = {}
    for name in ends[0]:
        low, high = sorted(float(end[name]) for end in ends)
        bounded = low >= -1.01 and high <= 1.01 and high - low > 0.5
        bounds[name] = None if not bounded else (0.0, 1.0) if low > -0.01 else (-1.0, 1.0)
    return bounds


def _at(cell: Cell, far: Tensor) -> dict[str, Tensor]:
    x = Gates(**dict.fromkeys(cell.gates, far))
    u = Recurrence(dict.fromkeys(cell.recurrent, torch.zeros(1, 1)), lambda gate, v: torch.zeros(1, 1))
    s = State(**dict.fromkeys(cell.states, torch.zeros(1, 1)))
    state, gates = cell.step(x, u, s, Vectors(dict.fromkeys(cell.vectors, torch.zeros(1))))
    return {"h": state.h, **gates._asdict()}


def _use(name: str, value: Tensor, present: Tensor, bounds: tuple[float, float] | None) -> GateUse:
    """The statistics of one gate, (steps, B, H)."""
    units = value[present].float()  # (N, H)
    finite = bool(units.isfinite().all())
    lowest, highest = bounds or ((float(units.min()), float(units.max())) if units.numel() else (0.0, 1.0))
    low = high = units.new_zeros(units.shape[-1])
    if bounds is not None:
        # Saturated: within 0.1 of an end, for both ranges.
        edge = 1 - thresholds.SATURATED
        low, high = ((side.float().mean(0)) for side in (units < lowest + edge, units > highest - edge))  # (H,)
    counts = units.cpu().histc(BINS, lowest, highest) if finite and highest > lowest else units.new_zeros(0)
    return GateUse(
        gate=name,
        lowest=lowest,
        highest=highest,
        histogram=tuple((counts / max(1, units.numel())).tolist()),
        mean=float(units.mean()),
        low=float(low.mean()),
        high=float(high.mean()),
        stuck=float((torch.maximum(low, high) >= thresholds.STUCK).float().mean()),
    )
