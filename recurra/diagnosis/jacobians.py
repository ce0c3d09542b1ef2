"""Lyapunov exponents and singular values of products of Jacobians, from products of the Jacobian with vectors.

They are computed at the recorded states, in float64 for small layers and in float32 or higher precision for large ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor

from recurra.cells import State
from recurra.diagnosis.trajectory import Trajectory, TrajectoryStep, common_steps, flatten
from recurra.engine import Masks, Request
from recurra.engine.unroll import unroll

ROWS = 4
"""Number of sequences of a batch that are used."""
EXACT = 64
"""Largest state size for which the product of Jacobians is computed exactly."""
LEADING = 8
"""Number of exponents and singular values that are returned."""
_SEED = 7_919  # not 0, a usual seed of networks, whose weights would then equal the initial directions
_TURNS = 8  # of power iteration for short products
_SPARE = 4  # additional random directions, which improve the leading singular values of a large layer


class Linearised:
    """One step linearised in the state: J = ∂s_t/∂s_{t-1}, (rows, S, S), which is never materialised.

    Args:
        step: the step.
        rows: int64 (rows,), the selected rows of the batch.
        dtype: dtype of the computation.
    """

    def __init__(self, step: TrajectoryStep, rows: Tensor, dtype: torch.dtype) -> None:
        request = _selected(step.request, rows, dtype)
        self._at, self._sizes = flatten(request.state), [tensor.shape[-1] for tensor in request.state]
        self._request = request

    def _advance(self, state: Tensor) -> Tensor:
        parts = zip(self._request.state._fields, state.split(self._sizes, -1), strict=True)
        return flatten(unroll(replace(self._request, state=State(**dict(parts)))).state)

    def push(self, block: Tensor) -> Tensor:
        """Returns J times each column, (rows, S, m)."""
        # Uᵀ J is linear in U, and its vector-Jacobian product is J v. torch's forward mode would load TorchScript,
        # which emits warnings.
        back: Any = torch.func.vjp(self._pull, torch.zeros_like(self._at))[1]
        pushed: Tensor = torch.func.vmap(lambda v: back(v)[0], in_dims=2, out_dims=2)(block)
        return pushed

    def pull(self, block: Tensor) -> Tensor:
        """Returns Jᵀ times each column, (rows, S, m)."""
        pulled: Tensor = torch.func.vmap(self._pull, in_dims=2, out_dims=2)(block)
        return pulled

    @cached_property
    def _pull(self) -> Callable[[Tensor], Tensor]:
        back: Any = torch.func.vjp(self._advance, self._at)[1]
        return lambda v: back(v)[0]


def lyapunov_exponents(trajectory: Trajectory, *, count: int = LEADING, rows: int = ROWS) -> Tensor:
    """Returns the leading Lyapunov exponents, nats per step, (min(count, S),), the largest first.

    A block of tangent vectors is propagated along each row and orthonormalised after every step (by QR; Benettin et al.
    1980). An exponent is the mean log of the growth factor of a direction, over the rows and over the steps after the
    first quarter, in which the directions align.
    """
    chosen, steps = common_steps(trajectory, rows)
    Q = _block(trajectory, len(chosen), min(count, trajectory.size))
    logs = list[Tensor]()
    for place in steps:
        Q, R = torch.linalg.qr(Linearised(trajectory.steps[place], chosen, Q.dtype).push(Q))
        logs.append(R.double().diagonal(dim1=-2, dim2=-1).abs().log())  # (rows, m)
    kept = torch.stack(logs[len(logs) // 4 :]) if logs else Q.new_full((1, 1, Q.shape[-1]), torch.nan)
    return kept.mean((0, 1)).sort(descending=True).values


def singular_values(trajectory: Trajectory, *, longest: int = 64, rows: int = ROWS) -> dict[int, Tensor]:
    """Returns the leading singular values of the product of Jacobians over k = 1, 2, 4, … steps, (min(LEADING, S),).

    They are geometric means over the rows, for their last steps. For a small state, up to `EXACT` numbers, the product
    is exact. For a large one it is approximated by a randomised range finder (Halko, Martinsson & Tropp 2011,
    algorithms 4.4 and 5.1), which underestimates the largest singular values by at most a few per cent.
    """
    chosen, steps = common_steps(trajectory, rows)
    size = trajectory.size
    exact = size <= EXACT
    longest = 1 << (min(longest, len(steps)).bit_length() - 1) if len(steps) else 0
    Q = _block(trajectory, len(chosen), size if exact else min(size, LEADING + _SPARE))
    maps = [Linearised(trajectory.steps[place], chosen, Q.dtype) for place in steps[len(steps) - longest :]]
    values, product = dict[int, Tensor](), (Q.mT @ Q).double()
    for k, linear in enumerate(maps, 1):
        Q, R = torch.linalg.qr(linear.push(Q))
        product = R.double() @ product
        if k & (k - 1) == 0:
            values[k] = _values(product if exact else _project(maps[:k], Q))
    return values


def _project(maps: list[Linearised], Q: Tensor) -> Tensor:
    """A small matrix with the leading singular values of P = J_k … J_1, from a basis Q of the image of a block."""
    # The singular values of a product over few steps decay slowly: power iteration with P Pᵀ separates them.
    for turn in range(_TURNS // len(maps), -1, -1):
        product = torch.eye(Q.shape[-1], dtype=torch.float64, device=Q.device)
        for linear in reversed(maps):
            Q, R = torch.linalg.qr(linear.pull(Q))
            product = R.double() @ product
        for linear in maps if turn else ():
            Q, _ = torch.linalg.qr(linear.push(Q))
    return product


def _values(product: Tensor) -> Tensor:
    """The leading singular values of (rows, m, m), geometric means over the rows; NaN if one overflows."""
    if not bool(product.isfinite().all()):
        return product.new_full((min(LEADING, product.shape[-1]),), torch.nan)
    values: Tensor = torch.linalg.svdvals(product)[:, :LEADING]
    return values.log().mean(0).exp()


def _block(trajectory: Trajectory, rows: int, columns: int) -> Tensor:
    """The same random orthonormal columns for each row, (rows, S, columns)."""
    generator = Generator().manual_seed(_SEED)
    start = torch.randn(trajectory.size, columns, generator=generator, dtype=torch.float64)
    Q: Tensor = torch.linalg.qr(start)[0]
    like = trajectory.steps[0].after.h
    dtype = torch.float64 if trajectory.size <= EXACT else torch.promote_types(like.dtype, torch.float32)
    return Q.to(like.device, dtype).expand(rows, -1, -1)


def _selected(request: Request, rows: Tensor, dtype: torch.dtype) -> Request:
    """The request of the selected rows in another dtype, detached."""

    def of(nest: Any) -> Any:
        if isinstance(nest, torch.Tensor):
            return nest.detach().to(dtype)
        if isinstance(nest, tuple):
            parts = [of(item) for item in nest]
            return type(nest)(*parts) if hasattr(nest, "_fields") else tuple(parts)
        return nest

    def of_rows(tensor: Tensor | None) -> Tensor | None:
        shared = tensor is None or tensor.shape[-2] == 1
        return tensor if tensor is None or shared else tensor.index_select(-2, rows)

    masks = Masks(of(of_rows(request.masks.h)), tuple(of(of_rows(mask)) for mask in request.masks.zoneout))
    return replace(
        request,
        x=of(request.x.index_select(1, rows)),
        state=of(request.state.select(rows)),
        weights=of(request.weights),
        lengths=None,
        masks=masks,
        keep=False,
    )
