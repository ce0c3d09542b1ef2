"""Which requests the compiled loops can run, decided without compiling anything."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from recurra.engine.request import Request
from recurra.engine.trace import Signature, Traced, Untraceable, Variant, traced
from recurra.engine.trace.isolation import is_isolated
from recurra.engine.trace.signature_cache import signature_of
from recurra.engine.unroll import misfit


def why_not(request: Request) -> str | None:
    """The reason why the compiled loops cannot run the request; None if they can."""
    return _context_obstacle(request) or _tensor_obstacle(request) or _formula_obstacle(request)


def _tensor_obstacle(request: Request) -> str | None:
    weights = request.weights
    norms = () if weights.norms is None else (weights.norms.ih, weights.norms.hh, *chain(*weights.norms.states))
    parts = (weights.ih, weights.hh, weights.b_ih, weights.b_hh, weights.hr, *weights.vectors, *norms)
    parts += (request.masks.h, *request.masks.zoneout)
    starts = () if request.restarts is None else chain(*request.restarts.starts)
    tensors = [request.x, *request.state, *starts, *(part for part in parts if part is not None)]
    if any(tensor.device.type != "cpu" for tensor in tensors):
        return "it compiles for the CPU, but some tensors are on another device"
    if {tensor.dtype for tensor in tensors} not in ({torch.float32}, {torch.float64}):
        return "all tensors must be float32, or all float64"
    # Subclasses (fake tensors, functorch's wrappers) may have no memory that compiled code can read.
    if any(type(tensor) not in (Tensor, nn.Parameter) for tensor in tensors):
        return "it needs plain tensors with data in memory"
    if 0 in request.x.shape[:2]:
        return "the batch has no steps or no rows"
    return None


def _context_obstacle(request: Request) -> str | None:
    is_traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
    if is_traced or torch._C._are_functorch_transforms_active():
        return "it cannot be traced or transformed by PyTorch"
    if torch._C._len_torch_dispatch_stack():
        return "a dispatch mode of PyTorch is active, which handles only operators of PyTorch"
    if torch.is_autocast_enabled("cpu"):
        return "it does not support autocast"
    if torch.autograd.forward_ad._current_level >= 0:
        return "it has no derivatives in forward mode"
    # Masks are drawn beforehand and constant in the traced derivative.
    masks = (request.masks.h, *request.masks.zoneout)
    if any(mask is not None and mask.requires_grad for mask in masks):
        return "it does not compute gradients of masks"
    return None


def variant_of(request: Request) -> Variant:
    """The wrappers of the formula in this request, and the sizes.

    Raises:
        Untraceable: the formula is not the same at every call.
    """
    weights, cell, outline = request.weights, request.cell, _signature(request).outline
    zoned = tuple("" if mask is None else "unit" if mask.numel() == 1 else "step" for mask in request.masks.zoneout)
    return Variant(
        hidden=_hidden(request),
        projected=0 if weights.hr is None else weights.hr.shape[0],
        bias=weights.b_ih is not None,
        normalised=weights.norms is not None,
        dropped=request.masks.h is not None and bool(cell.recurrent),
        zoned=zoned if any(zoned) else (),
        shown=request.keep and bool(outline.formula.shown),
    )


def traced_for(request: Request) -> tuple[Traced, Variant]:
    """The programs of the request's present formula, and the variant of it.

    Raises:
        Untraceable: it has no compiled form.
    """
    variant = variant_of(request)
    return traced(request.cell, variant, request.x.dtype, _signature(request)), variant


def _hidden(request: Request) -> int:
    return request.weights.ih.shape[0] // len(request.cell.gates)


def _signature(request: Request) -> Signature:
    """The signature of the request's step, computed once per call."""
    cache: dict[str, Any] = {} if request.call_cache is None else request.call_cache
    if "signature" not in cache:
        cache["signature"] = signature_of(request.cell, _hidden(request), request.x.dtype)
    signature: Signature = cache["signature"]
    return signature


def _formula_obstacle(request: Request) -> str | None:
    if is_isolated():
        return "it is called during the tracing of another formula"
    try:
        problem = misfit(request, _signature(request).outline.formula)
        if problem is None:
            traced_for(request)
    except Untraceable as error:
        return str(error)
    return problem
