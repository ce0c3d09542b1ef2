"""Converts sequences to (T, B, I) for the layers, and outputs back to the form of the input."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from recurra.cells import Gates
from recurra.errors import InputError
from recurra.layers.checks import check_input, check_lengths


class PaddedInput(NamedTuple):
    """A batch as (T, B, I), and the form in which it was passed."""

    x: Tensor
    """(T, B, I)."""
    lengths: Tensor | None
    """int64 (B,)."""
    single: bool
    """Whether the input was one sequence without a batch, (T, I)."""
    packed: PackedSequence | None
    """The packed sequence that was passed; None for a tensor."""
    batch_first: bool
    """Whether the input was (B, T, I)."""

    def restore(self, y: Tensor) -> Tensor:
        """Converts a tensor (T, B, …) to the form of the input; padded if the input was packed."""
        if self.single:
            return y[:, 0]
        return y.transpose(0, 1) if self.batch_first else y

    def restore_packed(self, y: Tensor) -> Tensor | PackedSequence:
        """Converts a tensor (T, B, …) to the form of the input; packed if the input was packed."""
        return self.restore(y) if self.packed is None else _pack(y, self.packed)

    def restore_gates(self, gates: Gates) -> Gates:
        """Converts gates (T, B, H) to the form of the input; padded if the input was packed."""
        return Gates(**{name: self.restore(tensor) for name, tensor in zip(gates._fields, gates, strict=True)})


def to_padded(
    name: str, x: Tensor | PackedSequence, lengths: Tensor | None, *, input_size: int, batch_first: bool
) -> PaddedInput:
    """Converts the input of a layer to (T, B, I).

    Args:
        name: the name of the layer, for errors.
        x: (T, B, I), (B, T, I) with batch_first, (T, I) for one sequence alone, or a packed sequence.
        lengths: int64 (B,), or None.
        input_size: I.
        batch_first: whether x is (B, T, I).

    Raises:
        InputError: sizes or lengths that do not fit.
    """
    if isinstance(x, PackedSequence):
        if lengths is not None:
            raise InputError(f"{name}: a packed sequence contains its lengths: omit lengths=")
        # In the caller's order of rows, not in the packed one.
        padded, lengths = pad_packed_sequence(x)  # (T, B, I)
        check_input(name, padded, input_size)
        return PaddedInput(padded, lengths, False, x, False)
    check_input(name, x, input_size)
    single = x.dim() == 2
    if single:
        steps = x[:, None]  # (T, 1, I)
    else:
        steps = x.transpose(0, 1) if batch_first else x  # (T, B, I)
    if lengths is not None:
        check_lengths(name, lengths, steps)
    return PaddedInput(steps, lengths, single, None, batch_first and not single)


def _pack(y: Tensor, like: PackedSequence) -> PackedSequence:
    """Y (T, B, P), rows in the caller's order, as a packed sequence with the layout of `like`."""
    rows = y if like.sorted_indices is None else y.index_select(1, like.sorted_indices)
    # Row k of the sorted batch has step t if batch_sizes[t] > k.
    lengths = (like.batch_sizes[:, None] > torch.arange(y.shape[1], device="cpu")).sum(0)  # (B,), descending
    data = pack_padded_sequence(rows, lengths).data
    return PackedSequence(data, like.batch_sizes, like.sorted_indices, like.unsorted_indices)
