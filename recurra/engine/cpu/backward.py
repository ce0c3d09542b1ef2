"""The backward pass over chunks of time, and the gradients of weights as large products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from recurra.engine.cpu.forward import Forward
from recurra.engine.cpu.kernel import Kernel
from recurra.engine.cpu.memory import Place
from recurra.engine.cpu.operands import Weights, fixed_arrays, steps_of
from recurra.engine.cpu.sequences import Sequences, Span, sharing, start_states
from recurra.engine.cpu.workspace import buffer


class Backward:
    """One backward pass.

    Args:
        loops: the compiled loops.
        sequences: rows and steps.
        operands: what went into the forward pass, by name.
        saved: what it kept.
        wanted: of which inputs a gradient is asked for.
        recompute: steps between the states that were kept; 0 where all were.
    """

    def __init__(
        self,
        loops: Kernel,
        sequences: Sequences,
        operands: Mapping[str, Tensor | None],
        saved: Mapping[str, Tensor],
        wanted: Mapping[str, bool],
        recompute: int,
    ) -> None:
        self.loops, self.sequences, self.operands, self.saved = loops, sequences, operands, saved
        self.wanted, self.recompute = wanted, recompute
        self.memory = loops.memory["backward"]
        self.like = saved["s.h"]
        self.spans = sequences.spans(recompute)
        self.most = max(span.last - span.first for span in self.spans)
        self.share = sharing(loops, sequences.B)
        self.found: dict[str, Tensor] = {}

    def run(
        self, dy: Tensor | None, dlast: Sequence[Tensor | None], dshown: Sequence[Tensor | None]
    ) -> dict[str, Tensor]:
        """The gradients by the names of what went in."""
        self._begin(dy, dlast, dshown)
        again = None
        if self.recompute:
            again = Forward(self.loops, self.sequences, self.operands, spans=self.spans, keep=False)
        order = list(enumerate(self.sequences.in_time(self.spans)))
        for number, span in reversed(order):
            states, kept = self._states_and_kept(span, number, again)
            self._chunk(span, states, kept)
            self._weights(span, states, kept)
        return self._finish()

    def _begin(self, dy: Tensor | None, dlast: Sequence[Tensor | None], dshown: Sequence[Tensor | None]) -> None:
        sequences, like, memory, cell = self.sequences, self.like, self.memory, self.loops.cell
        T, B = sequences.T, sequences.B
        zeros = like.new_zeros
        self.fixed = {**Weights(self.loops, self.operands, like, "backward").arrays}
        self.fixed |= fixed_arrays(self.operands, memory.kinds)
        self.per_step = {"dY": zeros(T, B, memory.sizes["dY"]) if dy is None else dy.contiguous()}
        names = [name for name in memory.kinds if name.startswith("dg.")]
        for name, operands in zip(names, dshown, strict=False):
            self.per_step[name] = zeros(T, B, memory.sizes[name]) if operands is None else operands.contiguous()
        for state, operands in zip(cell.states, dlast, strict=True):
            size = memory.sizes[f"d.{state}"]
            self.fixed[f"d.{state}"] = zeros(B, size) if operands is None else operands.contiguous().clone()
        for name, kind in memory.kinds.items():
            if kind == "row" and name not in self.fixed:
                # Sums over the steps begin at 0; the rest is written before it is read.
                adds = name.partition(".")[0] in ("dp", "dgain", "dshift")
                self.fixed[name] = (zeros if adds else like.new_empty)(B, memory.sizes[name])
        self.D = {name: buffer(like, self.most, size) for name, size in memory.sizes.items() if name[0] == "D"}
        self._begun: set[tuple[str, int]] = set()  # parts of the weights' gradients that something was added to
        for name in ("ih", "hh", "hr"):
            tensor = self.operands.get(name)
            if tensor is not None and self.wanted[name]:
                self.found[name] = torch.empty_like(tensor)
        self.sums = {name: zeros(memory.sizes[name]) for name in self.D}
        for name in ("x", "z"):
            tensor = self.operands.get(name)
            if tensor is not None and self.wanted[name]:
                make = torch.empty if sequences.places is None else torch.zeros
                self.found[name] = make(tensor.shape, dtype=tensor.dtype, device=tensor.device)

    def _states_and_kept(
        self, span: Span, number: int, again: Forward | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        names = [name for name in self.memory.kinds if name == "R" or name.startswith("kept")]
        states = self.loops.cell.states
        if again is None:
            found = {state: self.saved[f"s.{state}"][span.start : span.stop + 1] for state in states}
            return found, {name: self.saved[name][span.first : span.last] for name in names}
        sequences, steps = self.sequences, span.stop - span.start
        chunk = {}
        for state in states:
            size = self.memory.sizes[f"s.{state}"]
            S = buffer(self.like, steps + 1, sequences.B, size)
            start = 0 if sequences.direction > 0 else -1
            if state == "h":
                S[start] = self.saved["s.h"][span.start if sequences.direction > 0 else span.stop]
            else:
                S[start] = self.saved[f"start.{state}"][number]
            if sequences.direction < 0 and sequences.lengths is not None:
                initial = self.operands[f"s.{state}"]
                assert initial is not None
                start_states(S, initial.detach(), span.start, span.stop, sequences)
            chunk[state] = S
        kept = {name: buffer(self.like, span.last - span.first, self.memory.sizes[name]) for name in names}
        B, T = sequences.B, sequences.T
        shown = {
            name: self.like.new_empty(T, B, size)
            for name, size in self.loops.memory["forward"].sizes.items()
            if name[:2] == "g."
        }
        again.step(span, chunk, kept, shown)
        return chunk, kept

    def _chunk(self, span: Span, states: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> None:
        arrays = {**self.fixed, **kept, **self.D, **{f"s.{state}": tensor for state, tensor in states.items()}}
        arrays |= {name: tensor[span.start : span.stop] for name, tensor in self.per_step.items()}
        arrays |= steps_of(self.fixed, self.memory.kinds, span)
        rows = self.sequences.rows.chunk(span.start, span.stop)
        self.loops.run("backward", arrays, rows, self.sequences.direction, self.share)

    def _weights(self, span: Span, states: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> None:
        """What the derivatives of a chunk's pre-activations add to the gradients."""
        n = span.last - span.first
        cell, H = self.loops.cell, self.loops.variant.hidden
        for name, D in self.D.items():
            self.sums[name] += D[:n].sum(0)
        gates = self.D[f"D{H}"][:n, : len(cell.gates) * H]  # (n, G·H)
        self._input(span, gates)
        for cut in self.loops.programs.recorded.cuts:
            if cut.matrix not in self.found:
                continue
            into, operand = self.found[cut.matrix], self._operand(cut.operand, span, states, kept)
            for at, place, size in self._stretches(cut.matrix, cut.outputs):
                block = self.D[place.array][:n, place.offset : place.offset + size]
                self._add(cut.matrix, at, into[at : at + size], block.t(), operand)

    def _stretches(self, matrix: str, outputs: tuple[str, ...]) -> list[tuple[int, Place, int]]:
        """Rows of W whose derivatives lie side by side: the first row, where they lie, how many."""
        found: list[tuple[int, Place, int]] = []
        for name in outputs:
            block = self.loops.programs.blocks[f"d{name}"]
            place, size = self.memory.places[block], self.memory.widths[block]
            at = self.loops.cell.recurrent.index(name[2:]) * size if matrix == "hh" else 0
            if found:
                first, before, length = found[-1]
                follows = before.array == place.array and before.offset + length == place.offset
                if follows and first + length == at:
                    found[-1] = (first, before, length + size)
                    continue
            found.append((at, place, size))
        return found

    def _operand(self, name: str, span: Span, states: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> Tensor:
        """What entered a product, (n, size)."""
        sequences = self.sequences
        if name != "s.h":
            place = self.memory.places[self.loops.programs.operands[name]]
            size = self.memory.widths[self.loops.programs.operands[name]]
            return kept[place.array][: span.last - span.first, place.offset : place.offset + size]
        before = states["h"][:-1] if sequences.direction > 0 else states["h"][1:]
        flat = before.reshape(-1, before.shape[-1])
        if sequences.places is None:
            return flat
        return flat.index_select(0, sequences.places[span.first : span.last] - span.start * sequences.B)

    def _input(self, span: Span, gates: Tensor) -> None:
        sequences = self.sequences
        if "z" in self.found:
            self._scatter("z", span, gates)
        ih = self.operands.get("ih")
        if ih is None:
            return
        x = self.operands["x"]
        assert x is not None
        if "x" in self.found:
            if sequences.places is None:
                torch.mm(gates, ih, out=self.found["x"][span.start : span.stop].view(len(gates), -1))
            else:
                self._scatter("x", span, gates @ ih)
        if "ih" in self.found:
            self._add("ih", 0, self.found["ih"], gates.t(), sequences.gather(x, span))

    def _add(self, matrix: str, at: int, into: Tensor, a: Tensor, b: Tensor) -> None:
        """Adds a product to rows of a matrix's gradient, from row `at` on."""
        torch.addmm(into, a, b, beta=int((matrix, at) in self._begun), out=into)
        self._begun.add((matrix, at))

    def _scatter(self, name: str, span: Span, rows: Tensor) -> None:
        into, places = self.found[name], self.sequences.places
        if places is None:
            into[span.start : span.stop].view(rows.shape).copy_(rows)
        else:
            into.view(-1, rows.shape[-1])[places[span.first : span.last]] = rows

    def _finish(self) -> dict[str, Tensor]:
        found, cell, H = self.found, self.loops.cell, self.loops.variant.hidden
        for name in {"ih", "hh", "hr"} & found.keys() - {matrix for matrix, _ in self._begun}:
            found[name].zero_()  # no product reads it
        found |= {f"s.{state}": self.fixed[f"d.{state}"] for state in cell.states}
        for name in self.memory.kinds:
            if name.partition(".")[0] in ("dp", "dgain", "dshift"):
                found[name[1:]] = self.fixed[name].sum(0)
        found["b_ih"] = self.sums[f"D{H}"][: len(cell.gates) * H]
        parts = []
        for gate in cell.recurrent:
            place = self.memory.places[self.loops.programs.blocks[f"du.{gate}"]]
            parts.append(self.sums[place.array][place.offset : place.offset + H])
        found["b_hh"] = torch.cat(parts) if parts else self.like.new_zeros(0)
        return found
