"""Which requests the compiled loops can run, told without compiling anything."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.engine.request import Request
from recurra.engine.trace import Traced, Untraceable, trace


def why_not(request: Request) -> str | None:
    """Why the compiled loops cannot run the request, in words; None where they can."""
    return _tensors(request) or _around(request) or _formula(request.cell)


def _tensors(request: Request) -> str | None:
    weights = request.weights
    parts = (weights.ih, weights.hh, weights.b_ih, weights.b_hh, *weights.vectors)
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
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return "it cannot be traced or transformed by PyTorch"
    if torch.is_autocast_enabled("cpu"):
        return "it knows no autocast"
    if request.weights.hr is not None:
        return "it has no projection"
    if request.weights.norms is not None:
        return "it has no layer normalisation"
    if request.masks.h is not None or any(mask is not None for mask in request.masks.zoneout):
        return "it has no recurrent dropout and no zoneout"
    if request.keep:
        return "it does not show its gates"
    return None


def _formula(cell: Cell) -> str | None:
    try:
        traced(cell)
    except Untraceable as error:
        return str(error)
    return None


def traced(cell: Cell) -> Traced:
    """The cell's formula written down, once for all cells that compute the same.

    Raises:
        Untraceable: it cannot be.
    """
    found = _traced(CellKey(cell))
    if isinstance(found, Untraceable):
        raise found
    return found


@functools.lru_cache(maxsize=1024)
def _traced(key: CellKey) -> Traced | Untraceable:
    try:
        return trace(key.cell)
    except Untraceable as error:
        return error


class CellKey:
    """A cell as a key: equal for cells of one class with the same options, so that their code is shared."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        options = sorted((name, value) for name, value in vars(cell).items() if not name.startswith("_"))
        self._key: Any = (type(cell), tuple(options))
        try:
            hash(self._key)
        except TypeError:
            self._key = id(cell)  # options that cannot be compared: code of its own, for as long as the cell lives here

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CellKey) and self._key == other._key
