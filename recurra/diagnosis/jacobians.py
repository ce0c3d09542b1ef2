"""Products of a layer with the Jacobian of one step, and what they tell of many steps: exponents and singular values.

Computed at the states that the layer came to, in float64 for small layers and in float32 or more for large ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor

from recurra.cells import State
from recurra.diagnosis.trajectory import Step, Trajectory, flat, span
from recurra.engine import Masks, Request
from recurra.engine.unroll import unroll

ROWS = 4
"""How many sequences of a batch Jacobians are taken along."""
EXACT = 64
"""Numbers in the state up to which a product of Jacobians is computed whole."""
LEADING = 8
"""How many exponents and singular values are told."""
_SEED = 7_919  # not 0, from which many a network is drawn: its weights would be where the directions start
_TURNS = 8
_SPARE = 4  # further random directions, which sharpen the leading singular values of a large layer


class Linearised:
    """One step of some rows as a linear map of the state: J = ∂s_t/∂s_{t-1}, (rows, S, S), never written down.

    Args:
        step: the step.
        rows: int64 (rows,), which of the batch.
        dtype: of the computation.
    """

    def __init__(self, step: Step, rows: Tensor, dtype: torch.dtype) -> None:
        request = _selected(step.request, rows, dtype)
        self._at, self._sizes = flat(request.state), [tensor.shape[-1] for tensor in request.state]
        self._request = request

    def _advance(self, state: Tensor) -> Tensor:
        parts = zip(self._request.state._fields, state.split(self._sizes, -1), strict=True)
        return flat(unroll(replace(self._request, state=State(**dict(parts)))).state)

    def push(self, block: Tensor) -> Tensor:
        """J times each column, (rows, S, m)."""
        # Uᵀ J is linear in U: its own pull is J. Forward-mode derivatives of torch bring TorchScript, and its warnings.
        back: Any = torch.func.vjp(self._pull, torch.zeros_like(self._at))[1]
        pushed: Tensor = torch.func.vmap(lambda v: back(v)[0], in_dims=2, out_dims=2)(block)
        return pushed

    def pull(self, block: Tensor) -> Tensor:
        """The transpose of J times each column, (rows, S, m)."""
        pulled: Tensor = torch.func.vmap(self._pull, in_dims=2, out_dims=2)(block)
        return pulled

    @cached_property
    def _pull(self) -> Callable[[Tensor], Tensor]:
        back: Any = torch.func.vjp(self._advance, self._at)[1]
        return lambda v: back(v)[0]


def lyapunov_exponents(trajectory: Trajectory, *, count: int = LEADING, rows: int = ROWS) -> Tensor:
    """The leading Lyapunov exponents, nats per step, (min(count, S),), the largest first.

    A block of tangent vectors is pushed along each row and made orthonormal after every step (by QR; Benettin et al.
    1980). An exponent is the mean log of what a direction was stretched by, over the rows and over the steps after the
    first quarter, in which the directions fall in line.
    """
    chosen, steps = span(trajectory, rows)
    Q = _block(trajectory, len(chosen), min(count, trajectory.size))
    logs = list[Tensor]()
    for place in steps:
        Q, R = torch.linalg.qr(Linearised(trajectory.steps[place], chosen, Q.dtype).push(Q))
        logs.append(R.double().diagonal(dim1=-2, dim2=-1).abs().log())  # (rows, m)
    kept = torch.stack(logs[len(logs) // 4 :]) if logs else Q.new_full((1, 1, Q.shape[-1]), torch.nan)
    return kept.mean((0, 1)).sort(descending=True).values


def singular_values(trajectory: Trajectory, *, longest: int = 64, rows: int = ROWS) -> dict[int, Tensor]:
    """The leading singular values of the product of Jacobians over k = 1, 2, 4, … steps, (min(LEADING, S),) by k.

    Geometric means over the rows, along their last steps. The state of a small layer, up to `EXACT` numbers, is pushed
    whole; of a large one the range of the product is found from random vectors and the product's transpose taken of it
    (Halko, Martinsson & Tropp 2011, algorithms 4.4 and 5.1): the largest come out a few per cent too small at most.
    """
    chosen, steps = span(trajectory, rows)
    size = trajectory.size
    exact = size <= EXACT
    longest = 1 << (min(longest, len(steps)).bit_length() - 1) if len(steps) else 0
    Q = _block(trajectory, len(chosen), size if exact else min(size, LEADING + _SPARE))
    maps = [Linearised(trajectory.steps[place], chosen, Q.dtype) for place in steps[len(steps) - longest :]]
    found, product = dict[int, Tensor](), (Q.mT @ Q).double()
    for k, linear in enumerate(maps, 1):
        Q, R = torch.linalg.qr(linear.push(Q))
        product = R.double() @ product
        if k & (k - 1) == 0:
            found[k] = _values(product if exact else _pulled(maps[:k], Q))
    return found


def _pulled(maps: list[Linearised], Q: Tensor) -> Tensor:
    """A small matrix with the leading singular values of P = J_k … J_1, from a basis Q of what P makes of a block."""
    # A product over few steps has no leading directions yet that stand out: there the block goes to and fro.
    for turn in range(_TURNS // len(maps), -1, -1):
        product = torch.eye(Q.shape[-1], dtype=torch.float64, device=Q.device)
        for linear in reversed(maps):
            Q, R = torch.linalg.qr(linear.pull(Q))
            product = R.double() @ product
        for linear in maps if turn else ():
            Q, _ = torch.linalg.qr(linear.push(Q))
    return product


def _values(product: Tensor) -> Tensor:
    """The leading singular values of (rows, m, m), geometric means over the rows; not numbers where one overflows."""
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
    """The request of some rows in another dtype, cut from the graph."""

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
