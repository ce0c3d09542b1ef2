"""The gradients of the input and of the weights, as large products of torch's per chunk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.engine.cpu.kernel import Kernel
from recurra.engine.cpu.operands import Operands
from recurra.engine.cpu.sequences import Chunk, Sequences
from recurra.engine.trace import Cut, Kind, Operand
from recurra.engine.trace.operand import H


class _RowBlock(NamedTuple):
    """Rows of a matrix whose derivatives are adjacent in memory."""

    first_row: int
    array: str
    offset: int
    rows: int


class WeightGradients:
    """Gradients of x (or of its normalised pre-activations z), W_ih, W_hh, W_hr and the biases.

    Args:
        loops: the compiled loops.
        sequences: rows and steps.
        operands: the tensors that entered the forward pass.
        needed: whether each operand needs a gradient.
        D: the arrays of the derivatives of a chunk's pre-activations, (rows, size).
    """

    def __init__(
        self,
        loops: Kernel,
        sequences: Sequences,
        operands: Operands,
        needed: Mapping[str, bool],
        D: Mapping[str, Tensor],
    ) -> None:
        self.loops, self.sequences, self.operands, self.D = loops, sequences, operands, D
        self.memory, self.cell = loops.memory["backward"], loops.cell
        self.sums = {name: tensor.new_zeros(tensor.shape[1]) for name, tensor in D.items()}
        self.gradients: dict[str, Tensor] = {}
        # Parts of the weights' gradients that hold sums already: the first product overwrites uninitialised memory.
        self._begun: set[tuple[str, int]] = set()
        for name in ("ih", "hh", "hr"):
            tensor = operands.get(name)
            if tensor is not None and needed[name]:
                self.gradients[name] = torch.empty_like(tensor)
        for name in ("x", "z"):
            tensor = operands.get(name)
            if tensor is not None and needed[name]:
                # The padding of rows is never written, and its gradient is 0.
                make = torch.empty if sequences.places is None else torch.zeros
                self.gradients[name] = make(tensor.shape, dtype=tensor.dtype, device=tensor.device)

    def add(self, chunk: Chunk, states: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> None:
        """Adds the contribution of the derivatives of a chunk's pre-activations."""
        n = chunk.last - chunk.first
        for name, derivatives in self.D.items():
            self.sums[name] += derivatives[:n].sum(0)
        self._add_input(chunk, self._of_gates(self.D)[:n])
        for cut in self.loops.programs.recorded.cuts:
            if cut.matrix in self.gradients:
                gradient, read = self.gradients[cut.matrix], self._product_input(cut, chunk, states, kept)
                for first_row, array, offset, rows in self._blocks(cut):
                    block = self.D[array][:n, offset : offset + rows]
                    self._add_product(cut.matrix, first_row, gradient[first_row : first_row + rows], block.t(), read)

    def finish(self) -> dict[str, Tensor]:
        """All gradients, by operand."""
        for name in {"ih", "hh", "hr"} & self.gradients.keys() - {matrix for matrix, _ in self._begun}:
            self.gradients[name].zero_()  # no product reads it
        self.gradients["b_ih"] = self._of_gates(self.sums)
        hidden, parts = self.loops.variant.hidden, []
        for gate in self.cell.recurrent:
            place = self.memory.places[self.loops.programs.blocks[Operand(Kind.D_RECURRENT, gate)]]
            parts.append(self.sums[place.array][place.offset : place.offset + hidden])
        like = next(iter(self.sums.values()))
        self.gradients["b_hh"] = torch.cat(parts) if parts else like.new_zeros(0)
        return self.gradients

    def _of_gates(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """The part (…, G·H) of the input's gates: the first columns of the array of width H."""
        hidden = self.loops.variant.hidden
        return arrays[f"D{hidden}"][..., : len(self.cell.gates) * hidden]

    def _blocks(self, cut: Cut) -> list[_RowBlock]:
        """The rows of a product's matrix; adjacent blocks are merged, for fewer and larger products."""
        blocks: list[_RowBlock] = []
        for output in cut.outputs:
            stored = self.loops.programs.blocks[output.derivative]
            place, rows = self.memory.places[stored], self.memory.widths[stored]
            first_row = self.cell.recurrent.index(output.name) * rows if cut.matrix == "hh" else 0
            if blocks:
                last = blocks[-1]
                follows = last.array == place.array and last.offset + last.rows == place.offset
                if follows and last.first_row + last.rows == first_row:
                    blocks[-1] = last._replace(rows=last.rows + rows)
                    continue
            blocks.append(_RowBlock(first_row, place.array, place.offset, rows))
        return blocks

    def _product_input(
        self, cut: Cut, chunk: Chunk, states: Mapping[str, Tensor], kept: Mapping[str, Tensor]
    ) -> Tensor:
        """The input of a product, (n, size)."""
        sequences = self.sequences
        if cut.input != H:
            operand = self.loops.programs.product_inputs[cut.input]
            place, size = self.memory.places[operand], self.memory.widths[operand]
            return kept[place.array][: chunk.last - chunk.first, place.offset : place.offset + size]
        return sequences.before(states["h"], chunk)

    def _add_input(self, chunk: Chunk, gates: Tensor) -> None:
        """The gradients of z, or of x and W_ih, from the derivatives (n, G·H) of a chunk's gates."""
        sequences = self.sequences
        if "z" in self.gradients:
            self._scatter("z", chunk, gates)
        ih = self.operands.get("ih")
        if ih is None:
            return
        x = self.operands["x"]
        assert x is not None
        if "x" in self.gradients:
            if sequences.places is None:
                torch.mm(gates, ih, out=self.gradients["x"][chunk.start : chunk.stop].view(len(gates), -1))
            else:
                self._scatter("x", chunk, gates @ ih)
        if "ih" in self.gradients:
            self._add_product("ih", 0, self.gradients["ih"], gates.t(), sequences.gather(x, chunk))

    def _add_product(self, matrix: str, first_row: int, gradient: Tensor, a: Tensor, b: Tensor) -> None:
        """Adds a @ b to rows of a matrix's gradient, from `first_row` on."""
        # beta=0 does not read the gradient, which is uninitialised before the first product.
        torch.addmm(gradient, a, b, beta=int((matrix, first_row) in self._begun), out=gradient)
        self._begun.add((matrix, first_row))

    def _scatter(self, name: str, chunk: Chunk, rows: Tensor) -> None:
        """Writes packed rows (n, size) to their steps in a gradient (T, B, size)."""
        gradient, places = self.gradients[name], self.sequences.places
        if places is None:
            gradient[chunk.start : chunk.stop].view(rows.shape).copy_(rows)
        else:
            gradient.view(-1, rows.shape[-1]).index_copy_(0, places[chunk.first : chunk.last], rows)
