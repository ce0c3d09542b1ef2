"""Less memory for long sequences on any engine: only some states are kept, the steps between are recomputed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from recurra.cells import Gates, State
from recurra.cells.builtin_code import is_untouched
from recurra.engine.request import Masks, Request, Result
from recurra.engine.trace import Signature
from recurra.engine.trace.signature_cache import current_signature
from recurra.errors import RecurraError


def in_pieces(request: Request, engine: Callable[[Request], Result]) -> Result:
    """Runs the request in pieces of `recompute` steps, each of which keeps only its initial state."""
    T, steps = len(request.x), request.recompute
    starts = list(range(0, T, steps))
    formula = _Formula(request)
    state, results = request.state, {}
    for start in reversed(starts) if request.reverse else starts:
        piece = _piece(request, state, start, min(start + steps, T))
        results[start] = checkpoint(_run, piece, engine, formula, set(), *_tensors(piece), use_reentrant=False)
        state = results[start].state
    parts = [results[start] for start in starts]
    y = torch.cat([part.y for part in parts])
    if parts[0].kept is None:
        return Result(y, state)
    names = parts[0].kept._fields
    return Result(y, state, Gates(**{n: torch.cat([getattr(part.kept, n) for part in parts]) for n in names}))


class _Formula:
    """The formula of a forward pass, to check that the backward pass recomputes the same one."""

    def __init__(self, request: Request) -> None:
        self._cell, self._dtype = request.cell, request.x.dtype
        self._hidden = request.weights.ih.shape[0] // len(request.cell.gates)
        # In a graph of torch.compile both passes are compiled at the same time, from the same formula.
        self._in_graph = torch.compiler.is_compiling()
        self._at_forward = None if self._in_graph else self._signature()

    def _signature(self) -> Signature | None:
        is_fixed = is_untouched(type(self._cell))
        return None if is_fixed else current_signature(self._cell, self._hidden, self._dtype)

    def check(self) -> None:
        """Raises an error if the cell's step has changed since the forward pass."""
        if not self._in_graph and self._signature() != self._at_forward:
            raise RecurraError(
                f"{type(self._cell).__name__}: its step has changed between the forward pass and the backward pass, "
                "which recomputes it. Change it after backward(), or create the layer with recompute=False"
            )


def _run(
    piece: Request, engine: Callable[[Request], Result], formula: _Formula, done: set[str], *tensors: Tensor
) -> Result:
    del tensors  # arguments so that `checkpoint` sees whether a gradient is needed; the piece holds them too
    if "forward" in done:
        formula.check()
    done.add("forward")
    return engine(piece)


def _tensors(piece: Request) -> list[Tensor]:
    starts = () if piece.restarts is None else chain(*piece.restarts.starts)
    return [piece.x, *piece.state, *starts, *(tensor for tensor in piece.weights[:5] if tensor is not None)]


def _piece(request: Request, state: State, start: int, stop: int) -> Request:
    # A row that ends before the piece has 0 steps in it, one that ends after it all of them.
    lengths = None if request.lengths is None else (request.lengths - start).clamp(0, stop - start)
    zoneout = tuple(mask if mask is None or mask.shape[0] == 1 else mask[start:stop] for mask in request.masks.zoneout)
    masks = Masks(request.masks.h, zoneout)
    restarts = None if request.restarts is None else request.restarts.window(start, stop)
    return replace(
        request, x=request.x[start:stop], state=state, lengths=lengths, masks=masks, restarts=restarts, recompute=0
    )
