"""The argument `resets` of layers: steps at which rows start anew, such as episodes and documents within a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from recurra.cells import States
from recurra.engine import Request
from recurra.engine.restarts import Restarts
from recurra.errors import InputError, InputShapeError, InputTypeError


class Resets(NamedTuple):
    """The resets of a batch, and the states in which rows start anew."""

    steps: Tensor
    """bool (T, B), True at the first step of a piece."""
    initial: States
    """The initial state of the stack."""

    def apply(self, request: Request, index: int) -> Request:
        """The request of one layer and direction with the resets."""
        state, restarts = Restarts.of(
            self.steps, request.lengths, request.state, self.initial[index], reverse=request.reverse
        )
        return replace(request, state=state, restarts=restarts)


def padded_resets(name: str, resets: object, x: Tensor | PackedSequence, *, batch_first: bool) -> Tensor:
    """Converts the argument `resets` to (T, B), on the device of x.

    Args:
        name: the name of the layer, for errors.
        resets: bool, in the form of x without its features: (T, B), (B, T) with batch_first, (T,) for one sequence.
        x: the input as it was passed, checked already.
        batch_first: whether x is (B, T, I).

    Raises:
        InputError: not a mask of this form, or x is a packed sequence.
    """
    if isinstance(x, PackedSequence):
        raise InputError(
            f"{name}: resets= does not go with a packed sequence: pad it (pad_packed_sequence) and pass lengths="
        )
    if not isinstance(resets, Tensor):
        raise InputTypeError(f"{name}: resets is a {type(resets).__name__}, expected a bool tensor: torch.tensor(…)")
    expected: Sequence[int] = x.shape[:-1]
    if resets.dtype != torch.bool:
        raise InputTypeError(
            f"{name}: resets is {resets.dtype}, expected torch.bool, True where a row starts anew: resets.bool()"
        )
    if resets.shape != expected:
        axes = "(time,)" if x.dim() == 2 else "(batch, time)" if batch_first else "(time, batch)"
        raise InputShapeError(f"{name}: resets is {tuple(resets.shape)}, expected {tuple(expected)}, {axes} of x")
    resets = resets.to(x.device)
    if x.dim() == 2:
        return resets[:, None]  # (T, 1)
    return resets.t() if batch_first else resets  # (T, B)
