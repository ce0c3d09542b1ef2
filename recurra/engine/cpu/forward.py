"""The forward pass over chunks of time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from recurra.engine.cpu.kernel import Kernel
from recurra.engine.cpu.memory import INPUT_BIAS, INPUT_PART
from recurra.engine.cpu.operands import (
    Operands,
    fixed_arrays,
    input_bias,
    packed_weights,
    steps_of,
    tensor_of,
)
from recurra.engine.cpu.sequences import Chunk, Sequences, sharing
from recurra.engine.cpu.workspace import buffer
from recurra.engine.trace import Kind, Operand


class ForwardChunk:
    """The forward loop over one chunk of time; also run by a backward pass that recomputes states.

    Args:
        loops: the compiled loops.
        sequences: rows and steps.
        operands: the tensors that enter the call.
        remember: whether packed matrices are kept for the next call.
    """

    def __init__(self, loops: Kernel, sequences: Sequences, operands: Operands, *, remember: bool = False) -> None:
        self.loops, self.sequences, self.operands = loops, sequences, operands
        self.memory = loops.memory["forward"]
        self.like = tensor_of(operands, Operand(Kind.STATE, "h"))
        self.share = sharing(loops, sequences.B)
        self.fixed = packed_weights(loops, operands, self.like, "forward", remember=remember)
        self.fixed |= fixed_arrays(operands, self.memory)
        for name, (layout, size, _) in self.memory.arrays.items():
            if layout == "row" and name not in self.fixed:
                self.fixed[name] = buffer(self.like, sequences.B, size)
        if INPUT_BIAS in self.memory.arrays:
            self.fixed[INPUT_BIAS] = input_bias(loops, operands, self.like)

    def run(
        self, chunk: Chunk, states: Mapping[str, Tensor], kept: Mapping[str, Tensor], gates: Mapping[str, Tensor]
    ) -> None:
        """Computes the steps of a chunk.

        Args:
            chunk: the chunk.
            states: by name the chunk's part of a state array, with the states before its first step and initial states.
            kept: the arrays of kept values, rows of the chunk.
            gates: the arrays of the returned gates, rows of the chunk.
        """
        arrays = {**self.fixed, **kept, **gates, INPUT_PART: self._input_part(chunk)}
        arrays |= {Operand(Kind.STATE, state): tensor for state, tensor in states.items()}
        arrays |= steps_of(self.fixed, self.memory, self.sequences, chunk)
        rows = self.sequences.rows.chunk(chunk.start, chunk.stop)
        self.loops.run("forward", arrays, rows, self.sequences.direction, self.share)

    def _input_part(self, chunk: Chunk) -> Tensor:
        """The input's pre-activations of the gates, (n, G·H), in a separate buffer: products are added to them."""
        z, n = self.operands.get("z"), chunk.last - chunk.first
        if z is not None:
            return self.sequences.gather(z.detach(), chunk)
        ih = tensor_of(self.operands, "ih")
        Z = buffer(self.like, n, len(ih))
        return torch.mm(self.sequences.gather(tensor_of(self.operands, "x"), chunk), ih.t(), out=Z)


class Forward:
    """One forward pass, whose buffers are filled chunk by chunk.

    Args:
        loops: the compiled loops.
        sequences: rows and steps.
        operands: the tensors that enter the call.
        recompute: steps that the backward pass recomputes at a time; 0 to keep everything.
        keep: whether there will be a backward pass.
    """

    def __init__(self, loops: Kernel, sequences: Sequences, operands: Operands, recompute: int, *, keep: bool) -> None:
        self.loops, self.sequences, self.operands = loops, sequences, operands
        self.chunk = ForwardChunk(loops, sequences, operands, remember=not keep)
        self.chunks, self.keep = sequences.chunks(recompute), keep and not recompute
        memory, like, states = self.chunk.memory, self.chunk.like, loops.cell.states
        # y is the array of h itself where every row has every step, and is returned: no reused buffer then.
        make = partial(buffer, like) if sequences.is_ragged else like.new_empty
        self.S = {"h": make(sequences.state_rows, memory.size(Operand(Kind.STATE, "h")))}
        for state in states[1:] if self.keep else ():
            self.S[state] = buffer(like, sequences.state_rows, memory.size(Operand(Kind.STATE, state)))
        # Kept values of all chunks; without a backward pass all chunks write to the same rows.
        rows = self.chunks[-1].last if self.keep else max(chunk.last - chunk.first for chunk in self.chunks)
        self.kept = {name: buffer(like, rows, memory.size(name)) for name in memory.kept}
        steps = self.chunks[-1].last
        self.gates = {name: make(steps, memory.size(name)) for name in memory.holding(Kind.GATE)}
        # The states before each chunk, from which the chunk is recomputed; h is in its array already.
        self.starts: dict[str, list[Tensor]] | None = {s: [] for s in states[1:]} if keep and recompute else None

    def run(self) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Runs all chunks; returns y (T, B, size), the last states and the gates."""
        sequences, states = self.sequences, self.loops.cell.states
        initial = {state: tensor_of(self.operands, Operand(Kind.STATE, state)) for state in states}
        last = {state: tensor.clone() for state, tensor in initial.items()}
        for state, S in self.S.items():
            sequences.begin(S, initial[state], sequences.whole)
        carried: dict[str, Tensor] = {}
        for chunk in sequences.in_time(self.chunks):
            arrays = {state: self._states(state, chunk, carried, initial) for state in states}
            for state, starts in (self.starts or {}).items():
                starts.append(sequences.entered(arrays[state], chunk).clone())
            kept = {
                name: tensor[chunk.first : chunk.last] if self.keep else tensor for name, tensor in self.kept.items()
            }
            self.chunk.run(
                chunk, arrays, kept, {name: gate[chunk.first : chunk.last] for name, gate in self.gates.items()}
            )
            carried = {state: sequences.left(tensor, chunk) for state, tensor in arrays.items()}
            self._take_last(last, carried, arrays, chunk)
        shown = [sequences.scatter(tensor) for tensor in self.gates.values()]
        return self._y(), [tensor.clone() for tensor in last.values()], shown

    def _take_last(
        self, last: dict[str, Tensor], carried: Mapping[str, Tensor], arrays: Mapping[str, Tensor], chunk: Chunk
    ) -> None:
        """Updates the last state of the rows that end in a chunk; in reverse all rows end with the first step."""
        sequences = self.sequences
        if sequences.lengths is None:
            last.update(carried)
        elif sequences.direction > 0:
            rows, places = sequences.ending(chunk)
            for state, tensor in arrays.items():
                last[state][rows] = tensor[places]
        elif chunk.start == 0:
            # Rows without steps keep their initial state.
            rows = sequences.rows.order[: int(sequences.rows.active[0])]
            for state, tensor in arrays.items():
                last[state][rows] = tensor[: len(rows)]

    def _y(self) -> Tensor:
        S, sequences = self.S["h"], self.sequences
        part = sequences.emitted(S)  # (N, size)
        if sequences.is_ragged:
            return sequences.scatter(part)
        # The same memory, but not a view: users may then write into y in place, and autograd detects a conflict.
        shape = (*sequences.shape, S.shape[1])
        part = part.view(shape)
        return S.new_empty(0).set_(S.untyped_storage(), part.storage_offset(), part.shape, part.stride())

    def _states(self, state: str, chunk: Chunk, carried: Mapping[str, Tensor], initial: Mapping[str, Tensor]) -> Tensor:
        """The chunk's part of a state array, with the states before its first step filled in."""
        if state in self.S:
            return self.S[state][chunk.low : chunk.high]
        states = buffer(self.chunk.like, chunk.high - chunk.low, initial[state].shape[1])
        if carried:
            self.sequences.entered(states, chunk).copy_(carried[state])
        self.sequences.begin(states, initial[state], chunk)
        return states

    def saved(self) -> dict[str, Tensor]:
        """The tensors that the backward pass reads, by operand or array; "start.NAME" if it recomputes states."""
        saved: dict[str, Tensor] = {Operand(Kind.STATE, state): tensor for state, tensor in self.S.items()}
        if self.keep:
            saved |= self.kept
        saved |= {f"start.{state}": torch.cat(starts) for state, starts in (self.starts or {}).items() if starts}
        return saved
