"""What gates and units do over a batch: how they are spread, how many are saturated, dead or stuck."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.cells import Cell, Gates, Recurrence, State, Vectors
from recurra.diagnosis import thresholds
from recurra.diagnosis.trajectory import Trajectory

BINS = 24
"""Bars of a histogram."""
_FAR = 30.0  # a pre-activation at which every bounded function has come to its end


@dataclass(frozen=True)
class GateUse:
    """One gate of a layer over a batch; for a cell that shows no gates, its h."""

    gate: str
    lowest: float
    highest: float
    """The range of its function, or of what was seen where the function has no bounds."""
    histogram: tuple[float, ...]
    """The share of values in each of `BINS` equal parts of the range; empty where a value was not finite."""
    mean: float
    low: float
    """The share of values saturated at the low end; 0 for a function without bounds."""
    high: float
    """The share saturated at the high end."""
    stuck: float
    """The share of units saturated to one side nearly always."""

    @property
    def saturated(self) -> float:
        """The share saturated at either end."""
        return self.low + self.high


def gate_use(trajectory: Trajectory) -> tuple[GateUse, ...]:
    """The use of each gate; of h where the cell shows no gates (an Elman network)."""
    present = trajectory.present  # (steps, B)
    shown = trajectory.cell.formula.shown
    bounds = ranges(trajectory.cell)
    values = {name: torch.stack([getattr(step.gates, name).detach() for step in trajectory.steps]) for name in shown}
    values = values or {"h": trajectory.states("h")}
    return tuple(_use(name, value, present, bounds[name]) for name, value in values.items())


def dead_units(trajectory: Trajectory) -> float:
    """The share of units whose h is 0 at every step of every row."""
    h = trajectory.states("h").abs().masked_fill(~trajectory.present[..., None], 0)  # (steps, B, H)
    return float((h.amax((0, 1)) < thresholds.DEAD).float().mean())


def ranges(cell: Cell) -> dict[str, tuple[float, float] | None]:
    """The range of each gate that the cell shows, and of h: (0, 1), (-1, 1), or None where it has no bounds.

    Found by running the formula once with every pre-activation far up and once far down.
    """
    ends = [_at(cell, torch.full((1, 1), far)) for far in (_FAR, -_FAR)]
    found: dict[str, tuple[float, float] | None] = {}
    for name in ends[0]:
        low, high = sorted(float(end[name]) for end in ends)
        inside = low >= -1.01 and high <= 1.01 and high - low > 0.5
        found[name] = None if not inside else (0.0, 1.0) if low > -0.01 else (-1.0, 1.0)
    return found


def _at(cell: Cell, far: Tensor) -> dict[str, Tensor]:
    x = Gates(**dict.fromkeys(cell.gates, far))
    u = Recurrence(dict.fromkeys(cell.recurrent, torch.zeros(1, 1)), lambda gate, v: torch.zeros(1, 1))
    s = State(**dict.fromkeys(cell.states, torch.zeros(1, 1)))
    state, gates = cell.step(x, u, s, Vectors(dict.fromkeys(cell.vectors, torch.zeros(1))))
    return {"h": state.h, **gates._asdict()}


def _use(name: str, value: Tensor, present: Tensor, bounds: tuple[float, float] | None) -> GateUse:
    """The use of one gate, (steps, B, H)."""
    units = value[present].float()  # (N, H)
    finite = bool(units.isfinite().all())
    lowest, highest = bounds or ((float(units.min()), float(units.max())) if units.numel() else (0.0, 1.0))
    low = high = units.new_zeros(units.shape[-1])
    if bounds is not None:
        # The outer tenth: 0.1 below 1 and above 0; for a range from -1 to 1 the same 0.1 beyond 0.9.
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
