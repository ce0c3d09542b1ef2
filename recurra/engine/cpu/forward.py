"""The forward pass over chunks of time."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from recurra.engine.cpu.kernel import Kernel
from recurra.engine.cpu.operands import Weights, fixed_arrays, input_bias, steps_of, tensor_of
from recurra.engine.cpu.sequences import Sequences, Span, sharing, start_states
from recurra.engine.cpu.workspace import buffer


class Forward:
    """One forward pass: its buffers, and what is put into them chunk by chunk."""

    def __init__(
        self,
        loops: Kernel,
        sequences: Sequences,
        operands: Mapping[str, Tensor | None],
        *,
        spans: list[Span],
        keep: bool,
        remember: bool = False,
    ) -> None:
        self.loops, self.sequences, self.operands = loops, sequences, operands
        self.spans, self.keep = spans, keep
        self.memory = loops.memory["forward"]
        first = operands["s.h"]
        assert first is not None
        self.like = first.detach()
        self.share = sharing(loops, sequences.B)
        self.weights = Weights(loops, operands, self.like, "forward", remember=remember)
        self.most = max(span.last - span.first for span in spans)
        self.fixed = {**self.weights.arrays, **fixed_arrays(operands, self.memory.kinds)}
        B = sequences.B
        for name, kind in self.memory.kinds.items():
            if kind == "row" and name not in self.fixed:
                self.fixed[name] = buffer(self.like, B, self.memory.sizes[name])
        if "bias" in self.memory.kinds:
            self.fixed["bias"] = input_bias(loops, operands, self.like)

    @classmethod
    def forward_pass(
        cls, loops: Kernel, sequences: Sequences, operands: Mapping[str, Tensor | None], recompute: int, *, keep: bool
    ) -> Forward:
        """The forward pass of a call."""
        spans, all_of_it = sequences.spans(recompute), keep and not recompute
        made = cls(loops, sequences, operands, spans=spans, keep=all_of_it, remember=not keep)
        return made._prepare(boundary=keep and recompute > 0)

    def _prepare(self, *, boundary: bool) -> Forward:
        sequences, like, states = self.sequences, self.like, self.loops.cell.states
        T, B, total = sequences.T, sequences.B, self.spans[-1].last
        make = like.new_empty if sequences.lengths is None else like.new_zeros
        # y is the user's: memory of its own, and 0 where there is no step.
        self.S = {"h": make(T + 1, B, self.memory.sizes["s.h"])}
        for state in states[1:] if self.keep else ():
            self.S[state] = buffer(like, T + 1, B, self.memory.sizes[f"s.{state}"])
        self.kept = {
            name: buffer(like, total if self.keep else self.most, self.memory.sizes[name])
            for name in self.memory.kinds
            if name == "R" or name.startswith("kept")
        }
        self.shown = {name: make(T, B, size) for name, size in self.memory.sizes.items() if name[:2] == "g."}
        self.boundary: dict[str, list[Tensor]] | None = {state: [] for state in states} if boundary else None
        return self

    def run(self) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Y (T, B, size), the last states, the gates."""
        sequences, states = self.sequences, self.loops.cell.states
        direction, lengths = sequences.direction, sequences.lengths
        initial = {state: tensor_of(self.operands, f"s.{state}") for state in states}
        last = {state: tensor.clone() for state, tensor in initial.items()}
        for state, S in self.S.items():
            start_states(S, initial[state], 0, sequences.T, sequences)
        carry = initial
        for span in sequences.in_time(self.spans):
            chunk = {state: self._states(state, span, carry, initial) for state in states}
            if self.boundary is not None:
                for state in states:
                    if state != "h":
                        self.boundary[state].append(carry[state].clone())
            self.step(span, chunk, {name: self._kept(tensor, span) for name, tensor in self.kept.items()}, self.shown)
            end = -1 if direction > 0 else 0
            carry = {state: tensor[end] for state, tensor in chunk.items()}
            if lengths is None:
                last = carry
            elif direction > 0:
                rows = sequences.ending(span)
                for state in states:
                    last[state][rows] = chunk[state][lengths[rows] - span.start, rows]
        if lengths is not None and direction < 0:
            has = lengths > 0
            last = {state: torch.where(has[:, None], carry[state], last[state]) for state in states}
        final = [tensor.clone() for tensor in last.values()]
        return self._y(), final, list(self.shown.values())

    def _y(self) -> Tensor:
        S, sequences = self.S["h"], self.sequences
        part = S[1:] if sequences.direction > 0 else S[:-1]
        # The same memory and no view: autograd lets people write into y, and notices where it was to be read again.
        y = S.new_empty(0).set_(S.untyped_storage(), part.storage_offset(), part.shape, part.stride())
        if sequences.direction > 0:
            return y
        if sequences.lengths is not None:
            # Where a row begins stands what it begins from.
            y = y.clone()
            short = sequences.lengths < sequences.T
            y[sequences.lengths[short], short.nonzero().squeeze(1)] = 0
        return y

    def _states(self, state: str, span: Span, carry: dict[str, Tensor], initial: dict[str, Tensor]) -> Tensor:
        """(steps + 1, B, size) of a chunk, with what it starts from in its place."""
        if state in self.S:
            return self.S[state][span.start : span.stop + 1]
        chunk = buffer(self.like, span.stop - span.start + 1, *carry[state].shape)
        chunk[0 if self.sequences.direction > 0 else -1] = carry[state]
        if self.sequences.direction < 0 and self.sequences.lengths is not None:
            start_states(chunk, initial[state], span.start, span.stop, self.sequences)
        return chunk

    def _kept(self, tensor: Tensor, span: Span) -> Tensor:
        return tensor[span.first : span.last] if self.keep else tensor

    def step(
        self, span: Span, states: Mapping[str, Tensor], kept: Mapping[str, Tensor], shown: Mapping[str, Tensor]
    ) -> None:
        """One chunk."""
        arrays = {**self.fixed, **kept, "Z": self._input_part(span)}
        arrays |= {f"s.{state}": tensor for state, tensor in states.items()}
        arrays |= {name: tensor[span.start : span.stop] for name, tensor in shown.items()}
        arrays |= steps_of(self.fixed, self.memory.kinds, span)
        rows = self.sequences.rows.chunk(span.start, span.stop)
        self.loops.run("forward", arrays, rows, self.sequences.direction, self.share)

    def _input_part(self, span: Span) -> Tensor:
        """The gates' pre-activations by the input, (n, G·H), in memory of their own."""
        z, n = self.operands.get("z"), span.last - span.first
        if z is not None:
            return self.sequences.gather(z.detach(), span)
        ih = tensor_of(self.operands, "ih")
        Z = buffer(self.like, n, len(ih))
        return torch.mm(self.sequences.gather(tensor_of(self.operands, "x"), span), ih.t(), out=Z)

    def saved(self) -> dict[str, Tensor]:
        """What the backward pass is given."""
        found = {f"s.{state}": tensor for state, tensor in self.S.items()}
        if self.keep:
            found |= self.kept
        if self.boundary is not None:
            found |= {f"start.{state}": torch.stack(t) for state, t in self.boundary.items() if t}
        return found
