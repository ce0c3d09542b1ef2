"""What a recurrent layer is given, checked at the door: one line that says what does not fit and how to mend it."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.cells import Cell, State
from recurra.errors import InputError


def check_input(name: str, x: Tensor, input_size: int) -> None:
    """X must be (T, B, I) or, unbatched, (T, I), with I = input_size."""
    shape = tuple(x.shape)
    if x.dim() not in (2, 3):
        raise InputError(f"{name}: x is {shape}, expected (time, batch, {input_size}) or (time, {input_size})")
    if shape[-1] != input_size:
        raise InputError(f"{name}: x has {shape[-1]} features but input_size={input_size} (x is {shape})")
    if not x.is_floating_point():
        raise InputError(f"{name}: x is {x.dtype}, expected floating point; tokens go through an nn.Embedding first")


def check_lengths(name: str, lengths: object, x: Tensor) -> None:
    """Lengths must be int64 (B,) within 0 and T; x is (T, B, I)."""
    if not isinstance(lengths, Tensor):
        raise InputError(
            f"{name}: lengths is a {type(lengths).__name__}, expected an int64 tensor ({x.shape[1]},): torch.tensor(…)"
        )
    if tuple(lengths.shape) != (x.shape[1],) or lengths.dtype != torch.int64:
        raise InputError(
            f"{name}: lengths is {lengths.dtype} {tuple(lengths.shape)}, expected int64 ({x.shape[1]},), one a row"
        )
    # Inside a compiled or exported graph the values are not known; they are the caller's to keep.
    if torch.compiler.is_compiling():
        return
    if x.shape[1] and not 0 <= int(lengths.min()) <= int(lengths.max()) <= x.shape[0]:
        raise InputError(
            f"{name}: lengths run from {int(lengths.min())} to {int(lengths.max())} "
            f"but x has {x.shape[0]} steps: each must lie within 0 and that"
        )


def check_state(name: str, state: State, cell: Cell, sizes: tuple[int, ...], rows: int) -> None:
    """A state must have the cell's names and be (B, size) for each."""
    if state._fields != cell.states:
        raise InputError(f"{name}: the state holds {state._fields}, but {type(cell).__name__} carries {cell.states}")
    for field, tensor, size in zip(state._fields, state, sizes, strict=True):
        if tuple(tensor.shape) != (rows, size):
            raise InputError(f"{name}: the state's {field} is {tuple(tensor.shape)}, expected {(rows, size)}")
