"""What stands around a cell's formula: normalisation, dropout and projection before the step, zoneout after it."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.cells import Cell, Recurrence, State, Vectors, Weights

EPSILON = 1e-5
"""Added to the variance in layer normalisation, as in torch.nn.LayerNorm."""


def normalise(z: Tensor, gain: Tensor, blocks: int = 1) -> Tensor:
    """Gain times (z - mean) / √(variance + ε), z (…, blocks·H), mean and variance over the H units of a block."""
    # By gate and not over all gates at once: a product of the second phase is not there yet when the first gates are
    # normalised, and a compiled step keeps the gates of one unit side by side either way.
    parts = z.unflatten(-1, (blocks, gain.shape[0] // blocks))  # (…, blocks, H)
    return F.layer_norm(parts, parts.shape[-1:], eps=EPSILON).flatten(-2) * gain


def input_part(cell: Cell, weights: Weights, x: Tensor) -> Tensor:
    """The pre-activations of the input for all steps, (T, B, G·H) of x (T, B, I)."""
    gain = None if weights.norms is None else weights.norms.ih
    return _affine(x, weights.ih, weights.b_ih, gain, len(cell.gates))


def recurrent_part(cell: Cell, weights: Weights, drop: Tensor | None) -> Callable[[Tensor], Recurrence]:
    """From the state's h to u. Products of what the formula itself computes (`u("n", r * s.h)`) wait for it to ask."""
    names = cell.recurrent
    if not names:
        return lambda h: Recurrence({}, None)
    gain = None if weights.norms is None else weights.norms.hh
    first = tuple(name for name in names if name not in cell.second_phase)
    W, b, gains = (_by_gate(names, stacked) for stacked in (weights.hh, weights.b_hh, gain))
    W_first, b_first, gain_first = (_rows(names, first, stacked) for stacked in (weights.hh, weights.b_hh, gain))

    def fed(v: Tensor, *, wide: bool) -> Tensor:
        v = F.linear(v, weights.hr) if wide and weights.hr is not None else v  # (B, P)
        return v if drop is None else v * drop

    def product(gate: str, v: Tensor) -> Tensor:
        return _affine(fed(v, wide=True), W[gate], b.get(gate), gains.get(gate), 1)

    def at(h: Tensor) -> Recurrence:
        if W_first is None:
            return Recurrence({}, product)
        u = _affine(fed(h, wide=cell.formula.reads_h), W_first, b_first, gain_first, len(first))  # (B, R·H)
        return Recurrence(dict(zip(first, u.chunk(len(first), -1), strict=True)), product)

    return at


def vectors_of(cell: Cell, weights: Weights) -> Vectors:
    """The cell's vectors by name, with the normalisation of its states."""
    by_name = dict(zip(cell.vectors, weights.vectors, strict=True))
    if weights.norms is None:
        return Vectors(by_name)
    pairs = dict(zip(cell.formula.normalised, weights.norms.states, strict=True))

    def norm(state: str, value: Tensor) -> Tensor:
        gain, shift = pairs[state]
        return normalise(value, gain) + shift

    return Vectors(by_name, norm)


def zone_out(new: State, old: State, keep: tuple[Tensor | None, ...]) -> State:
    """The state after zoneout (Krueger et al. 2017): each unit stays at its old value where k is 1."""
    mixed = (b if k is None else k * a + (1 - k) * b for a, b, k in zip(old, new, keep, strict=True))
    return State(**dict(zip(new._fields, mixed, strict=True)))


def _affine(v: Tensor, W: Tensor, b: Tensor | None, gain: Tensor | None, blocks: int) -> Tensor:
    if gain is None:
        return F.linear(v, W, b)
    # The paper has a shift in each normalisation and a bias beside; only their sum acts, so b is the shift.
    z = normalise(F.linear(v, W), gain, blocks)
    return z if b is None else z + b


def _by_gate(names: tuple[str, ...], stacked: Tensor | None) -> dict[str, Tensor]:
    return {} if stacked is None else dict(zip(names, stacked.chunk(len(names)), strict=True))


def _rows(names: tuple[str, ...], wanted: tuple[str, ...], stacked: Tensor | None) -> Tensor | None:
    """The blocks of the wanted gates; the whole itself where that is all, so that the usual case copies nothing."""
    if stacked is None or not wanted or wanted == names:
        return stacked if wanted else None
    blocks = _by_gate(names, stacked)
    return torch.cat([blocks[name] for name in wanted])
