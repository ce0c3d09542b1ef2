"""A cell's loops compiled for one size, and run on tensors."""

from __future__ import annotations

import functools
from itertools import pairwise

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.engine.cpu.compile import Compiled, machine_shape
from recurra.engine.cpu.fits import CellKey, traced
from recurra.engine.cpu.loops import Layout, arguments, build
from recurra.engine.cpu.pool import run_all


class Kernel:
    """The forward and the backward loop of a cell for one H and one number type.

    Args:
        cell: whose step.
        hidden: H.
        dtype: float32 or float64.

    Raises:
        Untraceable: the step has no compiled form.
    """

    def __init__(self, cell: Cell, hidden: int, dtype: torch.dtype) -> None:
        formula = traced(cell)
        shape = machine_shape(32 if dtype == torch.float32 else 64)
        self.layout = Layout(cell.gates, cell.recurrent, cell.states, cell.vectors, formula.summed, hidden, shape)
        compiled = Compiled(build(self.layout, formula))
        self._names = {which: arguments(self.layout, which) for which in ("forward", "backward")}
        self._functions = {which: compiled.function(which, len(names) + 1, 4) for which, names in self._names.items()}
        self._compiled = compiled  # owns the machine code

    def run(self, which: str, tensors: dict[str, Tensor], lengths: Tensor, T: int, B: int) -> None:
        """Runs a loop on contiguous tensors by argument name, rows divided among torch's number of threads."""
        pointers = [tensors[name].data_ptr() for name in self._names[which]] + [lengths.data_ptr()]
        function, parts = self._functions[which], max(1, min(torch.get_num_threads(), B // 2))
        borders = [B * part // parts for part in range(parts + 1)]
        spans = pairwise(borders)
        run_all([functools.partial(function, *pointers, T, B, first, last) for first, last in spans])

    def pad(self, blocks: Tensor) -> Tensor:
        """(N, H, …) with the units padded to whole tiles, (N, Hp, …)."""
        extra = self.layout.padded - self.layout.hidden
        if not extra:
            return blocks
        return torch.cat([blocks, blocks.new_zeros(blocks.shape[0], extra, *blocks.shape[2:])], 1)

    def pack_forward(self, hh: Tensor) -> Tensor:
        """W_hh (R·H, H) as (Hp/units, R, H, units): a tile's columns of one gate for k = 0, 1, …"""
        layout = self.layout
        R, H, units = len(layout.recurrent), layout.hidden, layout.shape.units
        return self.pad(hh.view(R, H, H)).view(R, -1, units, H).permute(1, 0, 3, 2).contiguous()

    def pack_backward(self, hh: Tensor) -> Tensor:
        """W_hh (R·H, H) as (Hp/units, R, H, units) for the product from the other side."""
        layout = self.layout
        R, H, units = len(layout.recurrent), layout.hidden, layout.shape.units
        columns = self.pad(hh.view(R * H, H).t().reshape(1, H, R * H))  # (1, Hp, R·H)
        return columns.view(-1, units, R, H).permute(0, 2, 3, 1).contiguous()


@functools.lru_cache(maxsize=256)
def _kernel(key: CellKey, hidden: int, dtype: torch.dtype) -> Kernel:
    return Kernel(key.cell, hidden, dtype)


def kernel(cell: Cell, hidden: int, dtype: torch.dtype) -> Kernel:
    """The kernel for a cell, made at its first use.

    Raises:
        Untraceable: the step has no compiled form.
    """
    return _kernel(CellKey(cell), hidden, dtype)
