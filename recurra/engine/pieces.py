"""The pieces into which restarts cut the rows of a batch, as rows of a packed batch without padding.

An engine that runs pieces side by side does no work for steps that a piece does not have, and none to carry a state
across a restart.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.cells import State
from recurra.engine.request import Request


@dataclass(frozen=True)
class Pieces:
    """The N pieces of a batch by descending length; tensors of int64 on the CPU."""

    row: Tensor
    """(N,), the row of the batch."""
    start: Tensor
    """(N,), its first step."""
    length: Tensor
    """(N,), its steps."""
    source: Tensor
    """(N,), the state in which it begins, as an index of rows of (the request's state, *restarts.starts)."""
    last: Tensor
    """(B,), the state of each row in the end, as an index of rows of (the last states of the pieces, the request's
    state)."""
    active: Tensor
    """(longest piece,), the number of pieces with a step."""
    offsets: Tensor
    """(longest piece + 1,), where each step begins in packed arrays."""
    shape: tuple[int, int]
    """T and B."""

    @classmethod
    def of(cls, request: Request) -> Pieces:
        """The pieces of a request with restarts, of which at least one has an effect."""
        restarts, (T, B) = request.restarts, request.x.shape[:2]
        assert restarts is not None
        at = restarts.at.cpu()
        lengths = torch.full((B,), T, device="cpu") if request.lengths is None else request.lengths.cpu()
        row, start, length = _cut(at, lengths, reverse=request.reverse)
        first = start + length - 1 if request.reverse else start  # the step that a piece runs first
        kind = at[first, row].long()
        if restarts.resumed is not None:
            kind += restarts.resumed.cpu()[first, row]
        # The piece that a row runs last, counted before the pieces are sorted: its last one, in reverse its first.
        ends = torch.ones_like(row, dtype=torch.bool)
        if request.reverse:
            ends[1:] = row[1:] != row[:-1]
        else:
            ends[:-1] = row[1:] != row[:-1]
        order = length.argsort(descending=True, stable=True)
        last = len(row) + torch.arange(B, device="cpu")  # a row without steps keeps its state
        last[row[ends]] = torch.empty_like(order).index_copy_(0, order, torch.arange(len(row), device="cpu"))[ends]
        row, start, length, kind = row[order], start[order], length[order], kind[order]
        active = len(row) - length.bincount(minlength=1).cumsum(0)[:-1]
        offsets = torch.cat([active.new_zeros(1), active.cumsum(0)])
        return cls(row, start, length, kind * B + row, last, active, offsets, (T, B))

    def places(self, *, backward: bool = False) -> Tensor:
        """int64 (steps,), t · B + row of each packed step; `backward`: each piece from its last step to its first."""
        steps = torch.arange(len(self.active), device="cpu").repeat_interleave(self.active)
        number = torch.arange(len(steps), device="cpu") - self.offsets[steps]
        t = self.start[number] + (self.length[number] - 1 - steps if backward else steps)
        return t * self.shape[1] + self.row[number]

    def states(self, request: Request) -> State:
        """The state in which each piece begins, tensors (N, size)."""
        assert request.restarts is not None
        columns = zip(request.state, *request.restarts.starts, strict=True)
        source = self.source.to(request.x.device)
        return _state(request, [torch.cat(column).index_select(0, source) for column in columns])

    def last_states(self, request: Request, state: State) -> State:
        """The last state of each row, tensors (B, size), of those of the pieces."""
        last = self.last.to(request.x.device)
        return _state(
            request, [torch.cat(pair).index_select(0, last) for pair in zip(state, request.state, strict=True)]
        )


def _state(request: Request, tensors: list[Tensor]) -> State:
    return State(**dict(zip(request.state._fields, tensors, strict=True)))


def _cut(at: Tensor, lengths: Tensor, *, reverse: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Row, first step and length of each piece, row by row."""
    begins = torch.zeros_like(at)
    if reverse:
        begins[1:] = at[:-1]
    else:
        begins |= at
    begins[:1] = True
    begins &= torch.arange(len(at), device="cpu")[:, None] < lengths
    row, start = begins.t().nonzero().unbind(1)
    stop = lengths[row]
    follows = row[1:] == row[:-1]
    stop[:-1] = torch.where(follows, start[1:], stop[:-1])
    return row, start, stop - start
