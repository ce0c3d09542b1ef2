"""The wrappers of a cell's formula: normalisation, dropout and projection before the step, zoneout after it.

Both the unrolled steps and the tracer call these functions, so that they cannot differ.
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
"""W_hh v of the named gates, each (B, H), including b_hh unless it is normalised."""


def normalise(z: Tensor, gain: Tensor, blocks: int = 1) -> Tensor:
    """Gain times (z - mean) / √(variance + ε), z (…, blocks·H), mean and variance over the H units of a block."""
    # By gate and not over all gates at once: a product of the second phase does not exist yet when the first gates are
    # normalised.
    parts = z.unflatten(-1, (blocks, gain.shape[0] // blocks)) if blocks > 1 else z  # (…, blocks, H)
    centred = parts - parts.mean(-1, keepdim=True)
    scaled = centred * torch.rsqrt((centred * centred).mean(-1, keepdim=True) + EPSILON)
    return (scaled.flatten(-2) if blocks > 1 else scaled) * gain


def input_part(cell: Cell, weights: Weights, x: Tensor) -> Tensor:
    """The pre-activations of the input for all steps, (T, B, G·H) of x (T, B, I)."""
    if weights.norms is None:
        return F.linear(x, weights.ih, weights.b_ih)
    # The paper has a shift in each normalisation and a bias; only their sum has an effect, so that b is the shift.
    z = normalise(F.linear(x, weights.ih), weights.norms.ih, len(cell.gates))
    return z if weights.b_ih is None else z + weights.b_ih


def recurrent_part(
    recurrent: tuple[str, ...],
    formula: Formula,
    product: Product,
    project: Callable[[Tensor], Tensor] | None = None,
    drop: Tensor | None = None,
    norm: Callable[[str, Tensor], Tensor] | None = None,
) -> Callable[[Tensor], Recurrence]:
    """Returns a function of the state's h that computes the recurrent part u.

    Products with a computed input, `u("n", r * s.h)`, are computed when the formula calls u.

    Args:
        recurrent: the recurrent gates.
        formula: names the gates with a computed input; a step that reads one of them as u.n gets a separate product.
        product: computes W_hh v.
        project: computes W_hr v, for every H wide input of a product.
        drop: a mask that multiplies v before the product.
        norm: the normalisation of a gate's product.
    """
    if not recurrent:
        return lambda h: Recurrence({}, None)
    first = tuple(name for name in recurrent if name not in formula.second_phase)

    def products(gates: tuple[str, ...], v: Tensor, *, wide: bool) -> dict[str, Tensor]:
        v = project(v) if wide and project is not None else v  # (B, P)
        outputs = zip(gates, product(gates, v if drop is None else v * drop), strict=True)
        return {gate: u if norm is None else norm(gate, u) for gate, u in outputs}

    def computed_product(gate: str, v: Tensor) -> Tensor:
        return products((gate,), v, wide=True)[gate]

    def recurrence(h: Tensor) -> Recurrence:
        def separate_product(gate: str) -> Callable[[], Tensor]:
            return lambda: products((gate,), h, wide=formula.reads_h)[gate]

        late = {gate: separate_product(gate) for gate in formula.second_phase}
        return Recurrence(products(first, h, wide=formula.reads_h) if first else {}, computed_product, late)

    return recurrence


def recurrent_part_of(
    cell: Cell, formula: Formula, weights: Weights, drop: Tensor | None
) -> Callable[[Tensor], Recurrence]:
    """`recurrent_part` with the weights of a layer."""
    names, norms = cell.recurrent, weights.norms
    W, b = weights.hh, weights.b_hh
    blocks, shifts = _by_gate(names, W), _by_gate(names, b)
    gains = _by_gate(names, None if norms is None else norms.hh)
    rows: dict[tuple[str, ...], tuple[Tensor, Tensor | None]] = {names: (W, b)}  # all gates at once: no copy

    def product(gates: tuple[str, ...], v: Tensor) -> Sequence[Tensor]:
        if gates not in rows:
            shift = torch.cat([shifts[gate] for gate in gates]) if shifts else None
            rows[gates] = torch.cat([blocks[gate] for gate in gates]), shift
        matrix, bias = rows[gates]
        return F.linear(v, matrix, bias if norms is None else None).chunk(len(gates), -1)

    def norm(gate: str, u: Tensor) -> Tensor:
        return normalise(u, gains[gate]) + shifts.get(gate, 0.0)

    hr = weights.hr
    project = None if hr is None else (lambda v: F.linear(v, hr))
    return recurrent_part(names, formula, product, project, drop, None if norms is None else norm)


def vectors_of(
    names: tuple[str, ...],
    formula: Formula,
    vectors: Sequence[Tensor],
    norms: Sequence[tuple[Tensor, Tensor]] | None,
) -> Vectors:
    """The cell's vectors by name, and the normalisation of its states with a gain and a shift each."""
    by_name = dict(zip(names, vectors, strict=True))
    if norms is None:
        return Vectors(by_name)
    pairs = dict(zip(formula.normalised, norms, strict=True))

    def norm(state: str, value: Tensor) -> Tensor:
        gain, shift = pairs[state]
        return normalise(value, gain) + shift

    return Vectors(by_name, norm)


def zone_out(new: State, old: State, keep: Sequence[Tensor | None]) -> State:
    """The state after zoneout (Krueger et al. 2017): a unit keeps its old value where k is 1."""
    mixed = (b if k is None else k * a + (1 - k) * b for a, b, k in zip(old, new, keep, strict=True))
    return State(**dict(zip(new._fields, mixed, strict=True)))


def _by_gate(names: tuple[str, ...], stacked: Tensor | None) -> Mapping[str, Tensor]:
    return {} if stacked is None or not names else dict(zip(names, stacked.chunk(len(names)), strict=True))
