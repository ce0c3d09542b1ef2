"""The backward pass over chunks of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from recurra.engine.cpu.forward import ForwardChunk
from recurra.engine.cpu.kernel import Kernel
from recurra.engine.cpu.memory import D_Y
from recurra.engine.cpu.operands import Operands, fixed_arrays, packed_weights, steps_of
from recurra.engine.cpu.sequences import Chunk, Sequences, sharing
from recurra.engine.cpu.weight_gradients import WeightGradients
from recurra.engine.cpu.workspace import buffer
from recurra.engine.trace import Kind, Operand
from recurra.engine.trace.operand import D_PARAMETERS


class Backward:
    """One backward pass.

    Args:
        loops: the compiled loops.
        sequences: rows and steps.
        operands: the tensors that entered the forward pass.
        saved: the tensors that it saved.
        needed: whether each operand needs a gradient.
        recompute: steps between the saved states; 0 if all were saved.
    """

    def __init__(
        self,
        loops: Kernel,
        sequences: Sequences,
        operands: Operands,
        saved: Mapping[str, Tensor],
        needed: Mapping[str, bool],
        recompute: int,
    ) -> None:
        self.loops, self.sequences, self.operands, self.saved = loops, sequences, operands, saved
        self.memory = loops.memory["backward"]
        self.like = saved[Operand(Kind.STATE, "h")]
        self.chunks = sequences.chunks(recompute)
        self.share = sharing(loops, sequences.B)
        self.entered = [sequences.entered_rows(chunk) for chunk in sequences.in_time(self.chunks)]
        self.recomputed = ForwardChunk(loops, sequences, operands) if recompute else None
        self.fixed = packed_weights(loops, operands, self.like, "backward") | fixed_arrays(operands, self.memory)
        self.per_step: dict[str, Tensor | None] = {}
        rows = max(chunk.last - chunk.first for chunk in self.chunks)
        # For one chunk: the products with its derivatives follow before the next chunk overwrites them.
        self.D = {name: buffer(self.like, rows, self.memory.size(name)) for name in self.memory.derivatives}
        self.gradients = WeightGradients(loops, sequences, operands, needed, self.D)

    def run(
        self, dy: Tensor | None, dlast: Sequence[Tensor | None], dgates: Sequence[Tensor | None]
    ) -> dict[str, Tensor]:
        """The gradients of the operands.

        Args:
            dy: the derivative with respect to y, (T, B, size); zero where None.
            dlast: the derivatives with respect to the last states.
            dgates: the derivatives with respect to the returned gates.
        """
        self._start(dy, dlast, dgates)
        order = list(enumerate(self.sequences.in_time(self.chunks)))
        # In the reverse order of the forward pass, whichever direction that has.
        for number, chunk in reversed(order):
            states, kept = self._states_and_kept(chunk, number)
            self._run_chunk(chunk, states, kept)
            self.gradients.add(chunk, states, kept)
        gradients = self.gradients.finish()
        for state in self.loops.cell.states:
            gradients[Operand(Kind.STATE, state)] = self.fixed[Operand(Kind.D_NEW_STATE, state)]
        for name in self.memory.holding(*D_PARAMETERS):
            assert isinstance(name, Operand)
            # One sum per row of the batch, see `RowValues.store`: (B, size) to (size,).
            gradients[name.primal] = self.fixed[name].sum(0)
        return gradients

    def _start(self, dy: Tensor | None, dlast: Sequence[Tensor | None], dgates: Sequence[Tensor | None]) -> None:
        """Sets the derivatives that the loop reads, and the initial values of its sums."""
        B, memory = self.sequences.B, self.memory
        self.per_step = {D_Y: dy, **dict(zip(memory.holding(Kind.D_GATE), dgates, strict=False))}
        for state, derivative in zip(self.loops.cell.states, dlast, strict=True):
            incoming = Operand(Kind.D_NEW_STATE, state)
            # A copy, because the loop overwrites it at every step.
            zeros = self.like.new_zeros(B, memory.size(incoming))
            self.fixed[incoming] = zeros if derivative is None else derivative.contiguous().clone()
        for name, (layout, size, holds) in memory.arrays.items():
            if layout == "row" and name not in self.fixed:
                # Sums over the steps begin at 0; the other arrays are written before they are read.
                make = self.like.new_zeros if holds in D_PARAMETERS else self.like.new_empty
                self.fixed[name] = make(B, size)

    def _states_and_kept(self, chunk: Chunk, number: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The states (steps + 1, B, size) and the kept values of a chunk, saved or recomputed."""
        names = self.loops.cell.states
        if self.recomputed is None:
            saved = {name: self.saved[Operand(Kind.STATE, name)] for name in names}
            states = {name: tensor[chunk.low : chunk.high] for name, tensor in saved.items()}
            return states, {name: self.saved[name][chunk.first : chunk.last] for name in self.memory.kept}
        states = {name: self._start_states(name, chunk, number) for name in names}
        rows = chunk.last - chunk.first
        kept = {name: buffer(self.like, rows, self.memory.size(name)) for name in self.memory.kept}
        forward = self.recomputed.memory
        gates = {name: self.like.new_empty(rows, forward.size(name)) for name in forward.holding(Kind.GATE)}
        self.recomputed.run(chunk, states, kept, gates)
        return states, kept

    def _start_states(self, name: str, chunk: Chunk, number: int) -> Tensor:
        """The chunk's part of a state array, with the states before its first step filled in."""
        sequences, operand = self.sequences, Operand(Kind.STATE, name)
        states = buffer(self.like, chunk.high - chunk.low, self.memory.size(operand))
        start = sequences.entered(states, chunk)
        if name == "h":
            start.copy_(sequences.entered(self.saved[operand][chunk.low : chunk.high], chunk))
        else:
            start.copy_(self.saved[f"start.{name}"].split(self.entered)[number])
        initial = self.operands[operand]
        assert initial is not None
        sequences.begin(states, initial.detach(), chunk)
        return states

    def _run_chunk(self, chunk: Chunk, states: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> None:
        arrays = {**self.fixed, **kept, **self.D}
        arrays |= {Operand(Kind.STATE, name): tensor for name, tensor in states.items()}
        arrays |= {name: self._of_steps(name, derivative, chunk) for name, derivative in self.per_step.items()}
        arrays |= steps_of(self.fixed, self.memory, self.sequences, chunk)
        rows = self.sequences.rows.chunk(chunk.start, chunk.stop)
        self.loops.run("backward", arrays, rows, self.sequences.direction, self.share)

    def _of_steps(self, name: str, derivative: Tensor | None, chunk: Chunk) -> Tensor:
        """The rows of a chunk of a derivative (T, B, size), packed; zeros for None."""
        if derivative is None:
            return self.like.new_zeros(chunk.last - chunk.first, self.memory.size(name))
        return self.sequences.gather(derivative, chunk).contiguous()
