"""The compiled loops as a differentiable function: a request in, y and the last state out."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.cells import State
from recurra.engine.cpu.kernel import Kernel, kernel
from recurra.engine.request import Request, Result


def cpu(request: Request) -> Result:
    """Runs a request in compiled code."""
    cell, weights = request.cell, request.weights
    loops = kernel(cell, request.state.h.shape[-1], request.x.dtype)
    x, state, order = request.x, request.state, None
    lengths = request.lengths
    if lengths is not None:
        x = x.masked_fill(~request.present, 0)
    if request.reverse:
        x = x.flip(0) if lengths is None else _flip(x, lengths)
    if lengths is not None:
        order = _order(lengths)
        x, state, sorted_lengths = x.index_select(1, order), state.select(order), lengths[order]
    else:
        sorted_lengths = torch.full((x.shape[1],), x.shape[0])
    outputs = _Loops.apply(
        loops, sorted_lengths, x, weights.ih, weights.hh, weights.b_ih, weights.b_hh, *state, *weights.vectors
    )
    y, last = outputs[0], State(**dict(zip(cell.states, outputs[1:], strict=True)))
    if order is not None:
        back = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))
        y, last = y.index_select(1, back), last.select(back)
    if request.reverse:
        y = y.flip(0) if lengths is None else _flip(y, lengths)
    return Result(y, last)


def _order(lengths: Tensor) -> Tensor:
    """Rows longest first within each thread's share, the shares alike."""
    ranked = lengths.argsort(descending=True, stable=True)
    parts = max(1, min(torch.get_num_threads(), len(lengths) // 2))
    borders = [len(lengths) * part // parts for part in range(parts + 1)]
    shares: list[list[int]] = [[] for _ in range(parts)]
    for place, row in enumerate(ranked.tolist()):
        free = [p for p in range(parts) if len(shares[p]) < borders[p + 1] - borders[p]]
        # Back and forth, so that no share gets the longer row of every round.
        turn = place % len(free) if (place // parts) % 2 == 0 else len(free) - 1 - place % len(free)
        shares[free[turn]].append(row)
    return torch.tensor([row for share in shares for row in share])


def _flip(x: Tensor, lengths: Tensor) -> Tensor:
    steps = torch.arange(len(x))[:, None]
    source = torch.where(steps < lengths, lengths - 1 - steps, steps)
    return x.gather(0, source[:, :, None].expand_as(x))


class _Loops(torch.autograd.Function):
    """y (T, B, H) and the last states of x (T, B, I), rows sorted by length."""

    @staticmethod
    def forward(
        ctx: Any,
        loops: Kernel,
        lengths: Tensor,
        x: Tensor,
        ih: Tensor,
        hh: Tensor,
        b_ih: Tensor | None,
        b_hh: Tensor | None,
        *rest: Tensor,
    ) -> tuple[Tensor, ...]:
        layout = loops.layout
        T, B, Hp, H = x.shape[0], x.shape[1], layout.padded, layout.hidden
        G, R, Q, N = len(layout.gates), len(layout.recurrent), len(layout.apart), len(layout.states)
        initial, vectors = rest[:N], rest[N:]
        W = loops.pad(ih.view(G, H, -1)).reshape(G * Hp, -1)
        b = None if b_ih is None else loops.pad(b_ih.view(G, H)).reshape(G * Hp)
        Z = F.linear(x, W, b).contiguous()
        full = bool((lengths == T).all())
        make = torch.empty if full else torch.zeros
        S = [make(T + 1, B, Hp, dtype=x.dtype) for _ in range(N)]
        for tensor, start in zip(S, initial, strict=True):
            tensor[0, :, :H] = start
            tensor[0, :, H:] = 0
        U = make(T, B, Q * Hp, dtype=x.dtype)
        P = [loops.pad(vector.view(1, H)).contiguous() for vector in vectors]
        bias = torch.zeros(R, Hp, dtype=x.dtype) if b_hh is None else loops.pad(b_hh.view(R, H)).contiguous()
        packed = loops.pack_forward(hh) if R else x.new_zeros(1)
        tensors = {"Z": Z, "U": U, "W": packed, "b": bias, "scratch": x.new_empty(B, max(1, R) * layout.shape.units)}
        tensors |= {f"s.{name}": tensor for name, tensor in zip(layout.states, S, strict=True)}
        tensors |= {f"p.{name}": tensor for name, tensor in zip(layout.vectors, P, strict=True)}
        loops.run("forward", tensors, lengths, T, B)
        ctx.loops, ctx.has_bias = loops, b_ih is not None
        ctx.save_for_backward(lengths, x, ih, hh, Z, U, *S, *P)
        ctx.set_materialize_grads(False)
        last = tuple(tensor[lengths, torch.arange(B), :H] for tensor in S)
        return (S[0][1:, :, :H].contiguous() if Hp != H else S[0][1:], *last)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor | None, *dlast: Tensor | None) -> tuple[Any, ...]:
        loops: Kernel = ctx.loops
        layout = loops.layout
        lengths, x, ih, hh, Z, U, *kept = ctx.saved_tensors
        N, Q = len(layout.states), len(layout.apart)
        S, P = kept[:N], kept[N:]
        T, B, Hp, H = x.shape[0], x.shape[1], layout.padded, layout.hidden
        G, R = len(layout.gates), len(layout.recurrent)
        make = torch.empty if bool((lengths == T).all()) else torch.zeros
        dZ, dU = make(T, B, G * Hp, dtype=x.dtype), make(T, B, Q * Hp, dtype=x.dtype)
        dY = x.new_zeros(T, B, Hp) if dy is None else _padded(dy, Hp)
        carried = [x.new_zeros(B, Hp) if d is None else _padded(d, Hp).clone() for d in dlast]
        dP = [x.new_zeros(B, Hp) for _ in P]
        packed = loops.pack_backward(hh) if R else x.new_zeros(1)
        tensors = {"Z": Z, "U": U, "dZ": dZ, "dU": dU, "W": packed, "dY": dY}
        for place, name in enumerate(layout.states):
            tensors |= {f"s.{name}": S[place], f"d.{name}": carried[place]}
        for place, name in enumerate(layout.vectors):
            tensors |= {f"p.{name}": P[place], f"dp.{name}": dP[place]}
        loops.run("backward", tensors, lengths, T, B)
        dx, dih, db_ih = _input_gradients(ctx, dZ.view(T * B, G, Hp)[:, :, :H], x, ih)
        dhh, db_hh = _recurrent_gradients(loops, dZ, dU, S[0], T * B)
        db = (db_ih, db_hh) if ctx.has_bias else (None, None)
        return (
            None, None, dx, dih, dhh, *db,
            *(d[:, :H] for d in carried), *(d[:, :H].sum(0) for d in dP),
        )  # fmt: skip


def _padded(d: Tensor, padded: int) -> Tensor:
    return F.pad(d, (0, padded - d.shape[-1])).contiguous() if d.shape[-1] < padded else d.contiguous()


def _input_gradients(ctx: Any, dZ: Tensor, x: Tensor, ih: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
    """By x, W_ih and b_ih, of dZ (T·B, G, H)."""
    flat = dZ.reshape(len(dZ), -1)  # (T·B, G·H)
    dx = (flat @ ih).view(x.shape) if ctx.needs_input_grad[2] else None
    return dx, flat.t() @ x.reshape(len(flat), -1), flat.sum(0)


def _recurrent_gradients(loops: Kernel, dZ: Tensor, dU: Tensor, S: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """By W_hh and b_hh: one product over all steps for each kind of gate."""
    layout = loops.layout
    H, Hp = layout.hidden, layout.padded
    before = S[:-1].view(rows, Hp)[:, :H]  # (T·B, H)
    if layout.summed == layout.gates == layout.recurrent and Hp == H:
        flat = dZ.view(rows, -1)
        return flat.t() @ before, flat.sum(0)
    blocks, sums = [], []
    for gate in layout.recurrent:
        source, names = (dZ, layout.gates) if gate in layout.summed else (dU, layout.apart)
        block = source.view(rows, len(names), Hp)[:, names.index(gate), :H]  # (T·B, H)
        blocks.append(block.t() @ before)
        sums.append(block.sum(0))
    if not blocks:
        return S.new_zeros(0, H), S.new_zeros(0)
    return torch.cat(blocks), torch.cat(sums)
