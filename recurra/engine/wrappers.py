"""What stands around a cell's formula: normalisation, dropout and projection before the step, zoneout after it.

The reference runs it with tensors, the tracer writes it down: both go through the functions here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.cells import Cell, Recurrence, State, Vectors, Weights
from recurra.cells.cell import Formula

EPSILON = 1e-5
"""Added to the variance in layer normalisation, as in torch.nn.LayerNorm."""

Product = Callable[[tuple[str, ...], Tensor], Sequence[Tensor]]
"""W_hh v of the gates named, each (B, H), with b_hh where it is not normalised."""


def normalise(z: Tensor, gain: Tensor, blocks: int = 1) -> Tensor:
    """Gain times (z - mean) / √(variance + ε), z (…, blocks·H), mean and variance over the H units of a block."""
    # By gate and not over all gates at once: a product of the second phase is not there yet when the first gates are
    # normalised, and a compiled step keeps the gates of one unit side by side either way.
    parts = z.unflatten(-1, (blocks, gain.shape[0] // blocks)) if blocks > 1 else z  # (…, blocks, H)
    centred = parts - parts.mean(-1, keepdim=True)
    scaled = centred * torch.rsqrt((centred * centred).mean(-1, keepdim=True) + EPSILON)
    return (scaled.flatten(-2) if blocks > 1 else scaled) * gain


def input_part(cell: Cell, weights: Weights, x: Tensor) -> Tensor:
    """The pre-activations of the input for all steps, (T, B, G·H) of x (T, B, I)."""
    if weights.norms is None:
        return F.linear(x, weights.ih, weights.b_ih)
    # The paper has a shift in each normalisation and a bias beside; only their sum acts, so b is the shift.
    z = normalise(F.linear(x, weights.ih), weights.norms.ih, len(cell.gates))
    return z if weights.b_ih is None else z + weights.b_ih


def recurrent_part(
    recurrent: tuple[str, ...],
    formula: Formula,
    product: Product,
    project: Callable[[Tensor], Tensor] | None = None,
    drop: Tensor | None = None,
    shape: Callable[[str, Tensor], Tensor] | None = None,
) -> Callable[[Tensor], Recurrence]:
    """From the state's h to u. Products of what the formula itself computes (`u("n", r * s.h)`) wait for it to ask.

    Args:
        recurrent: the recurrent gates.
        formula: which of them wait; a step that reads one of these as u.n all the same gets it by another product.
        product: W_hh v.
        project: W_hr v, of whatever is H wide before it enters a product.
        drop: what v is multiplied by before the product.
        shape: the normalisation of a gate's product.
    """
    if not recurrent:
        return lambda h: Recurrence({}, None)
    first = tuple(name for name in recurrent if name not in formula.second_phase)

    def products(gates: tuple[str, ...], v: Tensor, *, wide: bool) -> dict[str, Tensor]:
        v = project(v) if wide and project is not None else v  # (B, P)
        found = zip(gates, product(gates, v if drop is None else v * drop), strict=True)
        return {gate: u if shape is None else shape(gate, u) for gate, u in found}

    def later(gate: str, v: Tensor) -> Tensor:
        return products((gate,), v, wide=True)[gate]

    def at(h: Tensor) -> Recurrence:
        def alone(gate: str) -> Callable[[], Tensor]:
            return lambda: products((gate,), h, wide=formula.reads_h)[gate]

        late = {gate: alone(gate) for gate in formula.second_phase}
        return Recurrence(products(first, h, wide=formula.reads_h) if first else {}, later, late)

    return at


def recurrent_part_of(
    cell: Cell, formula: Formula, weights: Weights, drop: Tensor | None
) -> Callable[[Tensor], Recurrence]:
    """`recurrent_part` of tensors."""
    names, norms = cell.recurrent, weights.norms
    W, b = weights.hh, weights.b_hh
    blocks, shifts = _by_gate(names, W), _by_gate(names, b)
    gains = _by_gate(names, None if norms is None else norms.hh)
    rows: dict[tuple[str, ...], tuple[Tensor, Tensor | None]] = {names: (W, b)}  # the usual case copies nothing

    def product(gates: tuple[str, ...], v: Tensor) -> Sequence[Tensor]:
        if gates not in rows:
            shift = torch.cat([shifts[gate] for gate in gates]) if shifts else None
            rows[gates] = torch.cat([blocks[gate] for gate in gates]), shift
        matrix, bias = rows[gates]
        return F.linear(v, matrix, bias if norms is None else None).chunk(len(gates), -1)

    def shape(gate: str, u: Tensor) -> Tensor:
        return normalise(u, gains[gate]) + shifts.get(gate, 0.0)

    hr = weights.hr
    project = None if hr is None else (lambda v: F.linear(v, hr))
    return recurrent_part(names, formula, product, project, drop, None if norms is None else shape)


def vectors_of(
    names: tuple[str, ...],
    formula: Formula,
    vectors: Sequence[Tensor],
    norms: Sequence[tuple[Tensor, Tensor]] | None,
) -> Vectors:
    """The cell's vectors by name, with the normalisation of its states: gain and shift of each that it names."""
    by_name = dict(zip(names, vectors, strict=True))
    if norms is None:
        return Vectors(by_name)
    pairs = dict(zip(formula.normalised, norms, strict=True))

    def norm(state: str, value: Tensor) -> Tensor:
        gain, shift = pairs[state]
        return normalise(value, gain) + shift

    return Vectors(by_name, norm)


def zone_out(new: State, old: State, keep: Sequence[Tensor | None]) -> State:
    """The state after zoneout (Krueger et al. 2017): each unit stays at its old value where k is 1."""
    mixed = (b if k is None else k * a + (1 - k) * b for a, b, k in zip(old, new, keep, strict=True))
    return State(**dict(zip(new._fields, mixed, strict=True)))


def _by_gate(names: tuple[str, ...], stacked: Tensor | None) -> Mapping[str, Tensor]:
    return {} if stacked is None or not names else dict(zip(names, stacked.chunk(len(names)), strict=True))
