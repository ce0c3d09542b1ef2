"""Less memory for long sequences on any engine: states at some steps are kept, what lies between is computed again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from recurra.cells import Gates, State
from recurra.cells.builtin_code import is_untouched
from recurra.engine.request import Masks, Request, Result
from recurra.engine.trace import Signature
from recurra.engine.trace.signature_cache import computed_now
from recurra.errors import RecurraError


def in_pieces(request: Request, engine: Callable[[Request], Result]) -> Result:
    """The request in pieces of `recompute` steps, none of which keeps more than the state that it starts from."""
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
    """The formula of a forward pass, which the backward pass computes again."""

    def __init__(self, request: Request) -> None:
        self._cell, self._dtype = request.cell, request.x.dtype
        self._hidden = request.weights.ih.shape[0] // len(request.cell.gates)
        # Within a graph of torch.compile both passes are of one moment.
        self._in_graph = torch.compiler.is_compiling()
        self._then = None if self._in_graph else self._now()

    def _now(self) -> Signature | None:
        shipped = is_untouched(type(self._cell))
        return None if shipped else computed_now(self._cell, self._hidden, self._dtype)

    def check(self) -> None:
        """Raises where the cell's step is another one by now."""
        if not self._in_graph and self._now() != self._then:
            raise RecurraError(
                f"{type(self._cell).__name__}: its step has changed between the forward pass and the backward pass, "
                "which computes it again. Change it after backward(), or make the layer with recompute=False"
            )


def _run(
    piece: Request, engine: Callable[[Request], Result], formula: _Formula, done: set[str], *tensors: Tensor
) -> Result:
    del tensors  # the piece holds them; named for the checkpoint, which asks them whether a gradient is wanted
    if "forward" in done:
        formula.check()
    done.add("forward")
    return engine(piece)


def _tensors(piece: Request) -> list[Tensor]:
    return [piece.x, *piece.state, *(tensor for tensor in piece.weights[:5] if tensor is not None)]


def _piece(request: Request, state: State, start: int, stop: int) -> Request:
    lengths = None if request.lengths is None else (request.lengths - start).clamp(0, stop - start)
    zoneout = tuple(mask if mask is None or mask.shape[0] == 1 else mask[start:stop] for mask in request.masks.zoneout)
    masks = Masks(request.masks.h, zoneout)
    return replace(request, x=request.x[start:stop], state=state, lengths=lengths, masks=masks, recompute=0)
