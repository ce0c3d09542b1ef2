"""Recurrent matrices in the order in which a tile reads them, packed once per version of a parameter."""

from __future__ import annotations

import threading
import weakref
from typing import NamedTuple

import torch
from torch import Tensor

# Packed matrices that are kept.
_MAX_ENTRIES = 64


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
        matrix: the parameter itself, whose version counter is compared.
        which: "forward": (tiles of width, blocks, K, units), the columns of a tile for k = 0, 1, …; "backward": (tiles
            of K, blocks · width, units), for the product with the transposed matrix.
        units: units of a tile.
        width: rows of a block.
        gates: the numbers of the blocks.
        remember: keep the result for the next call. While training the next call has another version.
    """
    if not remember or matrix.is_inference():
        return _pack(matrix.detach(), which, units, width, gates)
    key = (id(matrix), which, units, gates)
    entry = _entries.get(key)
    # A write through `.data` does not change the version, so that the numbers are compared too.
    is_current = entry is not None and entry.matrix() is matrix and entry.version == matrix._version
    if is_current and entry is not None and torch.equal(entry.copy, matrix.detach()):
        return entry.packed
    result = _pack(matrix.detach(), which, units, width, gates)
    entry = _Entry(weakref.ref(matrix), matrix._version, matrix.detach().clone(), result)
    # Removed and inserted, so that the dictionary is in the order of packing and the oldest entry is dropped first.
    with _lock:
        _entries.pop(key, None)
        while len(_entries) >= _MAX_ENTRIES:
            del _entries[next(iter(_entries))]
        _entries[key] = entry
    return result


def _pack(matrix: Tensor, which: str, units: int, width: int, gates: tuple[int, ...]) -> Tensor:
    blocks = matrix.view(-1, width, matrix.shape[1])  # (R, width, K)
    if gates != tuple(range(len(blocks))):
        blocks = blocks[list(gates)]
    count, _, k = blocks.shape
    if which == "forward":
        columns = _pad(blocks.transpose(1, 2), units)  # (blocks, K, tiles · units)
        return columns.view(count, k, -1, units).permute(2, 0, 1, 3).contiguous()  # (tiles, blocks, K, units)
    columns = _pad(blocks.reshape(count * width, k), units)  # (blocks · width, tiles · units)
    return columns.view(count * width, -1, units).permute(1, 0, 2).contiguous()  # (tiles, blocks · width, units)


def _pad(tensor: Tensor, units: int) -> Tensor:
    extra = -tensor.shape[-1] % units
    return torch.nn.functional.pad(tensor, (0, extra)) if extra else tensor
