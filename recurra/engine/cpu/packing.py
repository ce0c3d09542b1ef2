"""Recurrent matrices in the order in which a tile reads them, packed once for each version of a parameter."""

from __future__ import annotations

import threading
import weakref
from typing import NamedTuple

import torch
from torch import Tensor

# Matrices whose packed form is remembered.
_MOST = 64


class _Entry(NamedTuple):
    matrix: weakref.ref[Tensor]
    version: int
    copy: Tensor
    packed: Tensor


_lock = threading.Lock()
_entries: dict[tuple[int, str, int, tuple[int, ...]], _Entry] = {}


def packed(matrix: Tensor, which: str, units: int, width: int, gates: tuple[int, ...], *, remember: bool) -> Tensor:
    """Blocks of a matrix (R · width, K), packed.

    Args:
        matrix: the parameter itself, so that its version can be known.
        which: "forward": (tiles of width, blocks, K, units), a tile's columns for k = 0, 1, …; "backward": (tiles of K,
            blocks · width, units), for the product from the other side.
        units: of a tile.
        width: rows of a block.
        gates: which blocks.
        remember: for the next call with the same numbers. While training the next call has others.
    """
    if not remember or matrix.is_inference():
        return _pack(matrix.detach(), which, units, width, gates)
    key = (id(matrix), which, units, gates)
    entry = _entries.get(key)
    # A write through `.data` does not change the version: the numbers have the last word.
    known = entry is not None and entry.matrix() is matrix and entry.version == matrix._version
    if known and entry is not None and torch.equal(entry.copy, matrix.detach()):
        return entry.packed
    made = _pack(matrix.detach(), which, units, width, gates)
    entry = _Entry(weakref.ref(matrix), matrix._version, matrix.detach().clone(), made)
    with _lock:
        _entries.pop(key, None)
        while len(_entries) >= _MOST:
            del _entries[next(iter(_entries))]
        _entries[key] = entry
    return made


def _pack(matrix: Tensor, which: str, units: int, width: int, gates: tuple[int, ...]) -> Tensor:
    blocks = matrix.view(-1, width, matrix.shape[1])
    if gates != tuple(range(len(blocks))):
        blocks = blocks[list(gates)]
    count, _, k = blocks.shape
    if which == "forward":
        columns = _pad(blocks.transpose(1, 2), units)  # (blocks, K, whole tiles)
        return columns.view(count, k, -1, units).permute(2, 0, 1, 3).contiguous()
    columns = _pad(blocks.reshape(count * width, k), units)  # (blocks · width, whole tiles)
    return columns.view(count * width, -1, units).permute(1, 0, 2).contiguous()


def _pad(tensor: Tensor, units: int) -> Tensor:
    extra = -tensor.shape[-1] % units
    return torch.nn.functional.pad(tensor, (0, extra)) if extra else tensor
