"""The door for sequences: (T, B, I) inside, whatever a caller gives; y back in the caller's form."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from recurra.cells import Gates
from recurra.errors import InputError
from recurra.layers.checks import check_input, check_lengths


class Entered(NamedTuple):
    """A batch as the layers see it, and how it came."""

    x: Tensor
    """(T, B, I)."""
    lengths: Tensor | None
    """int64 (B,)."""
    single: bool
    """Whether it was one sequence without a batch, (T, I)."""
    packed: PackedSequence | None
    """The packed sequence it was."""
    batch_first: bool
    """Whether it was (B, T, I)."""

    def leave(self, y: Tensor) -> Tensor:
        """A tensor (T, B, …) in the form in which x came; padded where x was packed."""
        if self.single:
            return y[:, 0]
        return y.transpose(0, 1) if self.batch_first else y

    def leave_packed(self, y: Tensor) -> Tensor | PackedSequence:
        """The same, but packed where x was packed."""
        return self.leave(y) if self.packed is None else _pack(y, self.packed)

    def leave_gates(self, gates: Gates) -> Gates:
        """Gates (T, B, H) in the form in which x came."""
        return Gates(**{name: self.leave(tensor) for name, tensor in zip(gates._fields, gates, strict=True)})


def enter(
    name: str, x: Tensor | PackedSequence, lengths: Tensor | None, *, input_size: int, batch_first: bool
) -> Entered:
    """Turns what a caller gives to (T, B, I).

    Args:
        name: of the layer, for errors.
        x: (T, B, I), (B, T, I) with batch_first, (T, I) for one sequence alone, or a packed sequence.
        lengths: int64 (B,), or None.
        input_size: I.
        batch_first: whether x is (B, T, I).

    Raises:
        InputError: sizes or lengths that do not fit.
    """
    if isinstance(x, PackedSequence):
        if lengths is not None:
            raise InputError(f"{name}: a packed sequence carries its lengths already: leave lengths= out")
        padded, lengths = pad_packed_sequence(x)  # (T, B, I)
        check_input(name, padded, input_size)
        return Entered(padded, lengths, False, x, False)
    check_input(name, x, input_size)
    single = x.dim() == 2
    if single:
        steps = x[:, None]  # (T, 1, I)
    else:
        steps = x.transpose(0, 1) if batch_first else x  # (T, B, I)
    if lengths is not None:
        check_lengths(name, lengths, steps)
    return Entered(steps, lengths, single, None, batch_first and not single)


def _pack(y: Tensor, like: PackedSequence) -> PackedSequence:
    """Y (T, B, P), rows in the caller's order, as a packed sequence with the layout of `like`."""
    rows = y if like.sorted_indices is None else y.index_select(1, like.sorted_indices)
    lengths = (like.batch_sizes[:, None] > torch.arange(y.shape[1], device="cpu")).sum(0)  # (B,), falling
    data = pack_padded_sequence(rows, lengths).data
    return PackedSequence(data, like.batch_sizes, like.sorted_indices, like.unsorted_indices)
