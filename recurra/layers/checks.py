"""Checks of the arguments of `forward`, whose errors say in one line what does not fit and how to correct it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from recurra.cells import Cell, State, States
from recurra.errors import InputError, InputShapeError, InputTypeError


def check_input(name: str, x: Tensor, input_size: int) -> None:
    """Checks that x is (T, B, I) or, unbatched, (T, I), with I = input_size."""
    check_tensor(name, "x", x)
    shape = tuple(x.shape)
    if x.dim() not in (2, 3):
        raise InputShapeError(f"{name}: x is {shape}, expected (time, batch, {input_size}) or (time, {input_size})")
    if shape[-1] != input_size:
        raise InputShapeError(f"{name}: x has {shape[-1]} features but input_size={input_size} (x is {shape})")
    if not (x.is_floating_point() or x.is_complex()):
        raise InputTypeError(
            f"{name}: x is {x.dtype}, expected floating point; pass tokens through an nn.Embedding first"
        )


def check_tensor(name: str, argument: str, value: object) -> None:
    """Checks that an argument is a tensor, and not a nested one, whose rows have no common shape."""
    if not isinstance(value, Tensor):
        # A Proxy has no shape: without this check the error would be one of symbolic_trace, at another line.
        if isinstance(value, torch.fx.Proxy):
            raise InputTypeError(
                f"{name}: torch.fx.symbolic_trace cannot run through the layer: use torch.export, "
                "or a torch.fx.Tracer whose is_leaf_module is true for it"
            )
        raise InputTypeError(
            f"{name}: {argument} is a {type(value).__name__}, expected a tensor: convert it by torch.as_tensor"
        )
    if value.is_nested:
        raise InputTypeError(
            f"{name}: {argument} is a nested tensor, which has no time axis: pad it and pass lengths=, "
            "or use torch.nn.utils.rnn.pack_sequence"
        )


def check_lengths(name: str, lengths: object, x: Tensor) -> None:
    """Checks that lengths are int64 (B,) within 0 and T; x is (T, B, I)."""
    if not isinstance(lengths, Tensor):
        raise InputTypeError(
            f"{name}: lengths is a {type(lengths).__name__}, expected an int64 tensor ({x.shape[1]},): torch.tensor(…)"
        )
    if tuple(lengths.shape) != (x.shape[1],) or lengths.dtype != torch.int64:
        raise InputShapeError(
            f"{name}: lengths is {lengths.dtype} {tuple(lengths.shape)}, expected int64 ({x.shape[1]},), one per row"
        )
    # Within a compiled or exported graph the values are unknown, and the caller must ensure them.
    if torch.compiler.is_compiling():
        return
    if x.shape[1] and not 0 <= int(lengths.min()) <= int(lengths.max()) <= x.shape[0]:
        raise InputError(
            f"{name}: lengths range from {int(lengths.min())} to {int(lengths.max())} "
            f"but x has {x.shape[0]} steps: each must be between 0 and that"
        )


def check_is_state(name: str, value: object) -> None:
    """Checks that the state argument of a layer consists of `State` objects."""
    if not isinstance(value, State):
        raise InputTypeError(
            f"{name}: a state is a {type(value).__name__}, expected a State, such as recurra.State(h=h); "
            "a layer takes a tuple of them, one for each layer and direction"
        )


def check_state(name: str, state: State, cell: Cell, sizes: tuple[int, ...], rows: int) -> None:
    """Checks that a state has the cell's names and is (B, size) for each."""
    if state._fields != cell.states:
        raise InputError(
            f"{name}: the state has {state._fields}, but {type(cell).__name__} has the states {cell.states}"
        )
    for field, tensor, size in zip(state._fields, state, sizes, strict=True):
        check_tensor(name, f"the state's {field}", tensor)
        if tuple(tensor.shape) != (rows, size):
            raise InputShapeError(f"{name}: the state's {field} is {tuple(tensor.shape)}, expected {(rows, size)}")


def check_states(name: str, states: States, cell: Cell, sizes: Sequence[tuple[int, ...]], rows: int) -> None:
    """Checks the states of a stack: one for each layer and direction, with the widths `sizes` of its tensors."""
    if len(states) != len(sizes):
        raise InputShapeError(f"{name}: {len(states)} states, expected {len(sizes)}, one per layer and direction")
    for state, widths in zip(states, sizes, strict=True):
        check_state(name, state, cell, widths, rows)


def batched_states(
    name: str, states: States, cell: Cell, sizes: Sequence[tuple[int, ...]], rows: int, *, single: bool
) -> States:
    """Checks the states that were passed to a stack; those of one sequence alone get a batch of 1."""
    for state in states:
        check_is_state(name, state)
    if single:
        states = tuple(state.map(lambda tensor: tensor[None]) for state in states)  # (1, H) each
    check_states(name, states, cell, sizes, rows)
    return states
