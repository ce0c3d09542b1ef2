"""The forward pass over chunks of time."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.engine.cpu.kernel import Kernel, Rows, Sharing
from recurra.engine.cpu.packing import packed
from recurra.engine.cpu.workspace import buffer
from recurra.engine.request import Request

# Rows of a chunk: enough for torch's products to run at their full rate, few enough for the last level of cache.
_ROWS = 2048


class Span(NamedTuple):
    """A chunk of time: steps from start to before stop, and their rows in packed arrays."""

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True)
class Sequences:
    """Which rows have which steps, and in which direction time runs."""

    T: int
    B: int
    way: int
    """+1, or -1 from each row's own end back."""
    rows: Rows
    lengths: Tensor | None
    """int64 (B,)."""
    places: Tensor | None
    """int64 (N,), the place t · B + row of each packed row; None where every row has every step."""

    @classmethod
    def of(cls, request: Request) -> Sequences:
        """Of a request."""
        T, B = request.x.shape[:2]
        way = -1 if request.reverse else 1
        if request.lengths is None or bool((request.lengths == T).all()):
            return _whole(T, B, way)
        lengths = request.lengths.to(torch.int64)
        ordered, order = lengths.sort(descending=True, stable=True)
        has_step = torch.arange(T)[:, None] < ordered  # (T, B), rows as they are numbered
        active = has_step.sum(1)
        offsets = torch.cat([active.new_zeros(1), active.cumsum(0)])
        places = (torch.arange(T)[:, None] * B + order)[has_step]
        return cls(T, B, way, Rows(order, torch.arange(B), active, offsets), lengths, places)

    def spans(self, recompute: int) -> list[Span]:
        """The chunks in the order of time."""
        steps = recompute or max(1, _ROWS // self.B)
        borders = [*range(0, self.T, steps), self.T]
        offsets = [t * self.B for t in borders] if self.places is None else self.rows.offsets[borders].tolist()
        return [Span(*edges) for edges in zip(borders, borders[1:], offsets, offsets[1:], strict=False)]

    def in_time(self, spans: list[Span]) -> list[Span]:
        """Chunks in the order in which this direction runs through them."""
        return spans if self.way > 0 else spans[::-1]

    def gather(self, tensor: Tensor, span: Span) -> Tensor:
        """The rows (n, size) of a chunk, of a tensor (T, B, size)."""
        if self.places is None:
            return tensor[span.start : span.stop].reshape(span.last - span.first, -1)
        return tensor.reshape(self.T * self.B, -1).index_select(0, self.places[span.first : span.last])

    def ending(self, span: Span) -> Tensor:
        """The rows of the batch that end in a chunk (backwards in time: begin), int64."""
        assert self.lengths is not None
        return ((self.lengths > span.start) & (self.lengths <= span.stop)).nonzero().squeeze(1)


@functools.lru_cache(maxsize=64)
def _whole(T: int, B: int, way: int) -> Sequences:
    """Every row has every step."""
    numbers = torch.arange(B)
    rows = Rows(numbers, numbers, torch.full((T,), B), torch.arange(T + 1) * B)
    return Sequences(T, B, way, rows, None, None)


def sharing(loops: Kernel, rows: int) -> Sharing:
    """How threads divide the work: a fixed table.

    A tile of one or two rows leaves most of a core idle, so that few rows are not divided further: measured on two
    cores, units are faster for 1 to 4 rows (by 1.2 to 1.8), rows from 8 on.
    """
    threads = torch.get_num_threads()
    if rows < 4 * threads and not loops.has_sums:
        return Sharing(threads, by_units=True)
    return Sharing(min(threads, rows), by_units=False)


class Weights:
    """The packed matrices and starts of one call."""

    def __init__(
        self, loops: Kernel, given: Mapping[str, Tensor | None], like: Tensor, which: str, *, remember: bool = False
    ) -> None:
        self.arrays: dict[str, Tensor] = {}
        recurrent, variant = loops.cell.recurrent, loops.variant
        for number, cut in enumerate(loops.programs.recorded.cuts):
            matrix = given[cut.matrix]
            assert matrix is not None
            hh = cut.matrix == "hh"
            gates = tuple(recurrent.index(name[2:]) for name in cut.outputs) if hh else (0,)
            width = variant.hidden if hh else variant.projected
            self.arrays[f"W{number}"] = packed(matrix, which, loops.shape.units, width, gates, remember=remember)
            if which == "forward":
                bias = given["b_hh"]
                starts = like.new_zeros(len(gates), width)
                if hh and bias is not None:
                    starts.copy_(bias.detach().view(-1, width)[list(gates)])
                self.arrays[f"b{number}"] = starts
        if which == "backward":
            self.arrays["zero"] = like.new_zeros(max(variant.hidden, variant.projected))


class Chunk:
    """One forward pass: buffers, and what is put into them chunk by chunk."""

    def __init__(
        self,
        loops: Kernel,
        sequences: Sequences,
        given: Mapping[str, Tensor | None],
        *,
        spans: list[Span],
        keep: bool,
        remember: bool = False,
    ) -> None:
        self.loops, self.sequences, self.given = loops, sequences, given
        self.spans, self.keep = spans, keep
        self.memory = loops.memory["forward"]
        first = given["s.h"]
        assert first is not None
        self.like = first.detach()
        self.share = sharing(loops, sequences.B)
        self.weights = Weights(loops, given, self.like, "forward", remember=remember)
        self.most = max(span.last - span.first for span in spans)
        self.fixed = {**self.weights.arrays, **fixed_arrays(given, self.memory.kinds)}
        B = sequences.B
        for name, kind in self.memory.kinds.items():
            if kind == "row" and name not in self.fixed:
                self.fixed[name] = buffer(self.like, B, self.memory.sizes[name])
        if "bias" in self.memory.kinds:
            self.fixed["bias"] = _input_bias(loops, given, self.like)

    @classmethod
    def forward_pass(
        cls, loops: Kernel, sequences: Sequences, given: Mapping[str, Tensor | None], recompute: int, *, keep: bool
    ) -> Chunk:
        """The forward pass of a call."""
        spans, all_of_it = sequences.spans(recompute), keep and not recompute
        made = cls(loops, sequences, given, spans=spans, keep=all_of_it, remember=not keep)
        return made._prepare(boundary=keep and recompute > 0)

    def _prepare(self, *, boundary: bool) -> Chunk:
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
        way, lengths = sequences.way, sequences.lengths
        initial = {state: _given(self.given, f"s.{state}") for state in states}
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
            end = -1 if way > 0 else 0
            carry = {state: tensor[end] for state, tensor in chunk.items()}
            if lengths is None:
                last = carry
            elif way > 0:
                rows = sequences.ending(span)
                for state in states:
                    last[state][rows] = chunk[state][lengths[rows] - span.start, rows]
        if lengths is not None and way < 0:
            has = lengths > 0
            last = {state: torch.where(has[:, None], carry[state], last[state]) for state in states}
        final = [tensor.clone() for tensor in last.values()]
        return self._y(), final, list(self.shown.values())

    def _y(self) -> Tensor:
        S, sequences = self.S["h"], self.sequences
        if sequences.way > 0:
            return S[1:]
        y = S[:-1]
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
        chunk[0 if self.sequences.way > 0 else -1] = carry[state]
        if self.sequences.way < 0 and self.sequences.lengths is not None:
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
        self.loops.run("forward", arrays, rows, self.sequences.way, self.share)

    def _input_part(self, span: Span) -> Tensor:
        """The gates' pre-activations by the input, (n, G·H), in memory of their own."""
        z, n = self.given.get("z"), span.last - span.first
        if z is not None:
            return self.sequences.gather(z.detach(), span)
        ih = _given(self.given, "ih")
        Z = buffer(self.like, n, len(ih))
        return torch.mm(self.sequences.gather(_given(self.given, "x"), span), ih.t(), out=Z)

    def saved(self) -> dict[str, Tensor]:
        """What the backward pass is given."""
        found = {f"s.{state}": tensor for state, tensor in self.S.items()}
        if self.keep:
            found |= self.kept
        if self.boundary is not None:
            found |= {f"start.{state}": torch.stack(t) for state, t in self.boundary.items() if t}
        return found


def start_states(S: Tensor, initial: Tensor, start: int, stop: int, sequences: Sequences) -> None:
    """Puts the initial state where each row begins, in an array of the steps from start to stop."""
    if sequences.way > 0:
        S[0] = initial
    elif sequences.lengths is None:
        S[-1] = initial
    else:
        lengths = sequences.lengths
        rows = ((lengths > start) & (lengths <= stop)).nonzero().squeeze(1)
        S[lengths[rows] - start, rows] = initial[rows]


def fixed_arrays(given: Mapping[str, Tensor | None], kinds: Mapping[str, str]) -> dict[str, Tensor]:
    """Vectors, gains and masks, as they lie in memory for all chunks."""
    found = {}
    for name in kinds:
        if name.partition(".")[0] in ("p", "gain", "shift", "m", "k"):
            found[name] = _given(given, name).contiguous()
    return found


def steps_of(fixed: Mapping[str, Tensor], kinds: Mapping[str, str], span: Span) -> dict[str, Tensor]:
    """The masks of a chunk's steps."""
    return {name: t[span.start : span.stop] for name, t in fixed.items() if kinds.get(name) == "padded"}


def _input_bias(loops: Kernel, given: Mapping[str, Tensor | None], like: Tensor) -> Tensor:
    """What is added to x's pre-activations, (G·H,): b_ih, and b_hh of the gates that are read as x + u."""
    cell = loops.cell
    total = like.new_zeros(len(cell.gates), loops.variant.hidden)
    b_ih, b_hh = given.get("b_ih"), given.get("b_hh")
    if b_ih is not None:
        total.copy_(b_ih.detach().view_as(total))
    if b_hh is not None:
        for gate in loops.programs.summed:
            total[cell.gates.index(gate)] += b_hh.detach().view(len(cell.recurrent), -1)[cell.recurrent.index(gate)]
    return total.view(-1)


def _given(given: Mapping[str, Tensor | None], name: str) -> Tensor:
    tensor = given[name]
    assert tensor is not None
    return tensor.detach()
