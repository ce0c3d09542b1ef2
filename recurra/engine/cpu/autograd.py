"""The compiled loops as a differentiable function of a request, which returns y and the last state.

Time is divided into chunks. The input's pre-activations of a chunk are one large product of torch's, and so are the
gradients of the weights in the backward pass: temporary values of a chunk stay in the processor's caches, and only kept
values are written to memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.cells import Gates, State
from recurra.engine.cpu.backward import Backward
from recurra.engine.cpu.forward import Forward
from recurra.engine.cpu.kernel import Kernel, kernel_of
from recurra.engine.cpu.operands import norm_operands
from recurra.engine.cpu.second_derivatives import Reference, differentiable, reference_gradients
from recurra.engine.cpu.sequences import Sequences
from recurra.engine.cpu.support import traced_for
from recurra.engine.pieces import Pieces
from recurra.engine.request import Request, Result
from recurra.engine.trace import Kind, Operand
from recurra.engine.wrappers import normalise


def cpu(request: Request) -> Result:
    """Runs a request in compiled code."""
    formula, variant = traced_for(request)
    loops, weights = kernel_of(formula, variant, request.x.dtype), request.weights
    cell = loops.cell  # the names at the time of the trace; the request's cell may change
    pieces = None if request.restarts is None else Pieces.of(request)
    sequences = Sequences.of(request, pieces)
    names, tensors = _inputs(request, loops, pieces)
    reference = Reference(request.cell, formula.signature, variant, sequences.lengths, request.reverse, pieces)
    plan = _Plan(loops, sequences, tuple(names), len(cell.states), _steps_recomputed(request), reference)
    # Tensors are separate arguments, because autograd does not look into dictionaries.
    outputs = _Loops.apply(plan, *tensors)
    n = len(cell.states)
    y, last, shown = outputs[0], State(**dict(zip(cell.states, outputs[1 : n + 1], strict=True))), outputs[n + 1 :]
    if pieces is not None:
        last = pieces.last_states(request, last)
    # Such a formula has an unprojected state: y is projected here, for all steps at once.
    if weights.hr is not None and cell.formula.reads_h:
        y = F.linear(y, weights.hr)  # (T, B, P)
    kept = Gates(**dict(zip(cell.formula.shown, shown, strict=True))) if variant.shown else None
    return Result(y, last, kept if kept is not None or not request.keep else Gates())


def _steps_recomputed(request: Request) -> int:
    """Steps that the backward pass recomputes at a time; 0 if everything is kept."""
    return request.recompute if request.recompute < len(request.x) and torch.is_grad_enabled() else 0


@dataclass(frozen=True)
class _Plan:
    """The arguments of a call that are not tensors."""

    loops: Kernel
    sequences: Sequences
    names: tuple[str, ...]
    """Names of the tensors, in their order."""
    states: int
    recompute: int
    reference: Reference


def _inputs(request: Request, loops: Kernel, pieces: Pieces | None) -> tuple[list[str], list[Tensor | None]]:
    """Every tensor that enters the loops, by operand or name; x or, with layer normalisation, z.

    States and the dropout mask are of pieces, all others of the batch.
    """
    cell, weights, variant = loops.cell, request.weights, loops.variant
    tensors: dict[str, Tensor | None] = {"hh": weights.hh, "b_hh": weights.b_hh, "hr": weights.hr}
    if weights.norms is None:
        tensors |= {"x": request.x, "ih": weights.ih, "b_ih": weights.b_ih}
    else:
        tensors |= _normalised(request, loops)
    tensors |= _by_name(Kind.STATE, cell.states, request.state if pieces is None else pieces.states(request))
    tensors |= _by_name(Kind.VECTOR, cell.vectors, weights.vectors)
    if variant.dropped and request.masks.h is not None:
        h = request.masks.h
        tensors[Operand(Kind.DROPOUT_MASK, "h")] = h if pieces is None else h.index_select(0, pieces.row)
    T, B = request.x.shape[:2]
    for state, zoned, mask in zip(cell.states, variant.zoned, request.masks.zoneout, strict=False):
        if zoned and mask is not None:
            operand = Operand(Kind.ZONEOUT_MASK, state)
            width = loops.programs.recorded.widths[operand]
            tensors[operand] = mask.expand(T, B, width) if zoned == "step" else mask.reshape(1).expand(width)
    # The loops read memory directly, where a negative view (torch._neg_view) has the opposite sign.
    return list(tensors), [tensor if tensor is None else tensor.resolve_neg() for tensor in tensors.values()]


def _normalised(request: Request, loops: Kernel) -> dict[str, Tensor | None]:
    """The normalised pre-activations of the input, and the gains and shifts of the other normalisations."""
    cell, weights, norms = loops.cell, request.weights, request.weights.norms
    assert norms is not None
    x = request.x if request.lengths is None else request.x.masked_fill(~request.present, 0)
    z = normalise(F.linear(x, weights.ih), norms.ih, len(cell.gates))
    tensors: dict[str, Tensor | None] = {"z": z if weights.b_ih is None else z + weights.b_ih, "b_hh": None}
    tensors |= norm_operands(weights, cell)
    return tensors


def _by_name(kind: Kind, names: Sequence[str], tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    return {Operand(kind, name): tensor for name, tensor in zip(names, tensors, strict=True)}


def _has_no_memory(tensor: Tensor | None) -> bool:
    """Whether a tensor is a batch of gradients, as with `is_grads_batched=True` and in `torch.func`."""
    functorch = torch._C._functorch
    return tensor is not None and (
        functorch.is_functorch_wrapped_tensor(tensor) or functorch.is_legacy_batchedtensor(tensor)
    )


class _Loops(torch.autograd.Function):
    """y (T, B, H), the last states, and the gates if requested."""

    @staticmethod
    def forward(ctx: Any, plan: _Plan, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        """Runs all chunks, and saves what the backward pass reads."""
        operands = dict(zip(plan.names, tensors, strict=True))
        keep = any(ctx.needs_input_grad)
        forward = Forward(plan.loops, plan.sequences, operands, plan.recompute, keep=keep)
        y, last, shown = forward.run()
        ctx.plan = plan
        if keep:
            saved = forward.saved()
            ctx.saved_names = list(saved)
            # Not as attributes of ctx: autograd then detects in-place changes, and hooks on saved tensors apply.
            ctx.save_for_backward(*tensors, *saved.values(), y)
        # Outputs without a gradient give None, instead of a tensor of zeros each.
        ctx.set_materialize_grads(False)
        return (y, *last, *shown)

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor | None) -> tuple[Any, ...]:
        """The gradients of all inputs."""
        plan: _Plan = ctx.plan
        tensors = ctx.saved_tensors  # read once: hooks on saved tensors unpack at every access
        n = len(plan.names)
        operands = dict(zip(plan.names, tensors[:n], strict=True))
        requires_grad = dict(zip(plan.names, ctx.needs_input_grad[1:], strict=True))
        if any(map(_has_no_memory, incoming)):  # many gradients in one call
            create_graph = torch.is_grad_enabled()
            by_name = reference_gradients(plan.reference, operands, incoming, requires_grad, create_graph=create_graph)
            return (None, *(by_name.get(name) for name in plan.names))
        saved = dict(zip(ctx.saved_names, (t.contiguous() for t in tensors[n:-1]), strict=True))
        dy, *further = (None if t is None else t.detach().resolve_neg() for t in incoming)
        with torch.no_grad():
            gradients = Backward(plan.loops, plan.sequences, operands, saved, requires_grad, plan.recompute)
            by_operand = gradients.run(dy, further[: plan.states], further[plan.states :])
        results = [by_operand.get(name) if requires_grad[name] else None for name in plan.names]
        # Only with create_graph=True.
        if torch.is_grad_enabled():
            results = differentiable(plan.reference, operands, incoming, requires_grad, results)
        return (None, *results)
