"""Which requests the compiled loops can run, told without compiling anything."""

from __future__ import annotations

import contextlib
import functools
import pickle
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.engine.request import Request
from recurra.engine.trace import Programs, Untraceable, Variant, plan, record


def why_not(request: Request) -> str | None:
    """Why the compiled loops cannot run the request, in words; None where they can."""
    return _around(request) or _tensors(request) or _formula(request)


def _tensors(request: Request) -> str | None:
    weights = request.weights
    norms = () if weights.norms is None else (weights.norms.ih, weights.norms.hh, *chain(*weights.norms.states))
    parts = (weights.ih, weights.hh, weights.b_ih, weights.b_hh, weights.hr, *weights.vectors, *norms)
    parts += (request.masks.h, *request.masks.zoneout)
    tensors = [request.x, *request.state, *(part for part in parts if part is not None)]
    if any(tensor.device.type != "cpu" for tensor in tensors):
        return "it compiles for the CPU, and not all tensors are there"
    if {tensor.dtype for tensor in tensors} not in ({torch.float32}, {torch.float64}):
        return "it computes in float32 or float64 throughout"
    if any(type(tensor) not in (Tensor, nn.Parameter) for tensor in tensors):
        return "it needs plain tensors, with numbers in memory"
    if 0 in request.x.shape[:2]:
        return "there is no step to run"
    return None


def _around(request: Request) -> str | None:
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
    if traced or torch._C._are_functorch_transforms_active():
        return "it cannot be traced or transformed by PyTorch"
    if torch._C._len_torch_dispatch_stack():
        return "a dispatch mode of PyTorch is active, which sees operators of PyTorch alone"
    if torch.is_autocast_enabled("cpu"):
        return "it knows no autocast"
    if torch.autograd.forward_ad._current_level >= 0:
        return "it has no derivatives in forward mode"
    masks = (request.masks.h, *request.masks.zoneout)
    if any(mask is not None and mask.requires_grad for mask in masks):
        return "it gives no gradient by a mask"
    return None


def variant_of(request: Request) -> Variant:
    """What stands around the formula in this request, and the sizes."""
    weights, cell = request.weights, request.cell
    zoned = tuple("" if mask is None else "unit" if mask.numel() == 1 else "step" for mask in request.masks.zoneout)
    return Variant(
        hidden=weights.ih.shape[0] // len(cell.gates),
        projected=0 if weights.hr is None else weights.hr.shape[0],
        bias=weights.b_ih is not None,
        normalised=weights.norms is not None,
        dropped=request.masks.h is not None and bool(cell.recurrent),
        zoned=zoned if any(zoned) else (),
        shown=request.keep and bool(cell.formula.shown),
    )


def _formula(request: Request) -> str | None:
    try:
        programs_of(request.cell, variant_of(request), request.x.dtype)
    except Untraceable as error:
        return str(error)
    return None


def programs_of(cell: Cell, variant: Variant, dtype: torch.dtype) -> Programs:
    """The cell's formula written down and put in order, once for all cells that compute the same.

    Raises:
        Untraceable: it cannot be.
    """
    found = _programs(CellKey(cell), variant, dtype)
    if isinstance(found, Untraceable):
        raise found
    return found


@functools.lru_cache(maxsize=1024)
def _programs(key: CellKey, variant: Variant, dtype: torch.dtype) -> Programs | Untraceable:
    try:
        return plan(record(key.cell, variant, dtype))
    except Untraceable as error:
        return error


class CellKey:
    """A cell as a key: equal for cells whose formulas compute the same, so that their code is shared.

    They do if they are of one class with the same options, and what their `step` reads of its module and of the
    functions around it is the same, one level deep.
    """

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        options = [(name, _fixed(value)) for name, value in sorted(vars(cell).items()) if name != "_formula"]
        self._key: Any = (type(cell), tuple(options), _surroundings(type(cell).step))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CellKey) and self._key == other._key


def _surroundings(step: Any) -> tuple[Any, ...]:
    """The globals and the variables of functions around it that a function names, as they are now."""
    code = getattr(step, "__code__", None)
    if code is None:
        return ()
    known = step.__globals__
    found = [(name, _fixed(known[name])) for name in code.co_names if name in known]
    for name, cell in zip(code.co_freevars, step.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # not set yet
            found.append((name, _fixed(cell.cell_contents)))
    return tuple(found)


def _fixed(value: Any) -> Any:
    """A value as something to compare by, which does not change when the value does."""
    try:
        hash(value)
    except TypeError:
        with contextlib.suppress(Exception):  # whatever cannot be written down is known by where it lies
            return type(value), pickle.dumps(value)
        return id(value)
    return type(value), value
