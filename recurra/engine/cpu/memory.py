"""Where everything lies that the loops read and write: a name of a program to a place in an array.

Arrays by kind, for T steps, B rows, and n numbers in a row:
  packed   (rows with a step, n), time after time, only rows that have not ended: gates, what is kept, derivatives
  state    (T + 1, B, n), the first (or the last, backwards in time) of them what the rows start from
  padded   (T, B, n)
  row      (B, n)
  unit     (n,)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from recurra.engine.trace import Outline, Programs, Variant


class Place(NamedTuple):
    """Numbers of a row of an array."""

    array: str
    offset: int = 0
    after: bool = False
    """Of a state: the new one."""


@dataclass
class Memory:
    """The arrays of a loop in the order of its arguments, and what lies where."""

    kinds: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    """Numbers in a row of each array."""
    places: dict[str, Place] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    """Of each name."""

    def width_of(self, name: str) -> int:
        """Units of what lies under a name."""
        return self.widths[name]

    def add(self, array: str, kind: str, names: Iterable[tuple[str, int]]) -> None:
        """An array of blocks side by side, name and width each."""
        offset = 0
        for name, width in names:
            self.places[name], self.widths[name] = Place(array, offset), width
            offset += width
        if offset:
            self.kinds[array], self.sizes[array] = kind, offset

    def alias(self, name: str, other: str) -> None:
        """Another name for a place."""
        self.places[name], self.widths[name] = self.places[other], self.widths[other]


@dataclass(frozen=True)
class Memories:
    """Of both loops."""

    forward: Memory
    backward: Memory


def lay_out(cell: Outline, variant: Variant, programs: Programs) -> Memories:
    """The arrays of a cell's loops."""
    forward, backward = Memory(), Memory()
    recorded, widths = programs.recorded, programs.recorded.widths
    forward.add("Z", "packed", [(f"x.{gate}", variant.hidden) for gate in cell.gates])
    if variant.bias and not variant.normalised:
        forward.add("bias", "unit", [(f"bias.{gate}", variant.hidden) for gate in cell.gates])
    for gate in programs.summed:
        forward.alias(f"a.{gate}", f"x.{gate}")
    for memory in (forward, backward):
        _shared(memory, cell, variant, programs)
    apart = [name for cut in recorded.cuts for name in cut.outputs if name[2:] not in programs.summed or name[0] == "w"]
    for width in sorted({widths[name] for name in apart}):
        forward.add(f"C{width}", "row", [(name, width) for name in apart if widths[name] == width])
    forward.add("r", "row", [(f"r.{name}", 1) for name in _sums(programs, forward=True)])
    _temporaries(forward, programs, forward_pass=True)
    for gate in cell.formula.shown if variant.shown else ():
        forward.add(f"g.{gate}", "padded", [(f"g.{gate}", variant.hidden)])
    _backward(backward, cell, variant, programs)
    for product in programs.forward.products:
        size = variant.projected if product.outputs[0][0] == "w" else variant.hidden
        forward.add(f"b{product.cut}", "unit", [(f"b.{name}", size) for name in product.outputs])
        forward.add(f"W{product.cut}", "weights", [(f"W{product.cut}", 1)])
    for product in programs.backward.products:
        backward.add(f"W{product.cut}", "weights", [(f"W{product.cut}", 1)])
    backward.add("zero", "unit", [("zero", max(variant.hidden, variant.projected))])
    return Memories(forward, backward)


def _shared(memory: Memory, cell: Outline, variant: Variant, programs: Programs) -> None:
    """What both loops know: what is kept, states, masks, vectors."""
    widths = programs.recorded.widths
    for width in sorted({programs.kept_width(value) for value in programs.kept}):
        kept = [(f"kept.{value}", width) for value in programs.kept if programs.kept_width(value) == width]
        memory.add(f"kept{width}", "packed", kept)
    memory.add("R", "packed", [(f"rk.{name}", 1) for name in programs.kept_sums])
    for name in programs.kept_sums:
        memory.alias(f"r.{name}", f"rk.{name}")
    for state in cell.states:
        memory.add(f"s.{state}", "state", [(f"s.{state}", widths[f"s.{state}"])])
        memory.places[f"n.{state}"] = Place(f"s.{state}", 0, after=True)
    for name, width in widths.items():
        if name.partition(".")[0] in ("p", "gain", "shift"):
            memory.add(name, "unit", [(name, width)])
    if variant.dropped:
        memory.add("m.h", "row", [("m.h", widths["m.h"])])
    for state, kind in zip(cell.states, variant.zoned, strict=False):
        if kind:
            memory.add(f"k.{state}", "padded" if kind == "step" else "unit", [(f"k.{state}", widths[f"k.{state}"])])


def _backward(memory: Memory, cell: Outline, variant: Variant, programs: Programs) -> None:
    widths = programs.recorded.widths
    memory.add("dY", "padded", [("dY", widths["s.h"])])
    for gate in cell.formula.shown if variant.shown else ():
        memory.add(f"dg.{gate}", "padded", [(f"dg.{gate}", variant.hidden)])
    for state in cell.states:
        memory.add(f"d.{state}", "row", [(f"d.{state}", widths[f"s.{state}"])])
    for name, width in widths.items():
        if name.startswith("dv."):
            memory.add(name, "row", [(name, width)])
        elif name.partition(".")[0] in ("p", "gain", "shift"):
            memory.add(f"d{name}", "row", [(f"d{name}", width)])
    stored = dict.fromkeys(programs.blocks.values())
    for width in sorted({widths[name[1:]] for name in stored}):
        memory.add(f"D{width}", "packed", [(name, width) for name in stored if widths[name[1:]] == width])
    memory.add("r", "row", [(f"r.{name}", 1) for name in _sums(programs, forward=False)])
    _temporaries(memory, programs, forward_pass=False)


def _sums(programs: Programs, *, forward: bool) -> list[str]:
    """Sums that only this loop knows."""
    program = programs.forward if forward else programs.backward
    found = (total for level in program.levels for one in level for total in one.sums)
    return [name for name in dict.fromkeys(found) if name not in programs.kept_sums]


def _temporaries(memory: Memory, programs: Programs, *, forward_pass: bool) -> None:
    program = programs.forward if forward_pass else programs.backward
    names = dict.fromkeys(name for level in program.levels for one in level for name in one.stores if name[:2] == "t.")
    widths = programs.recorded.widths
    for width in sorted({widths[name[2:]] for name in names}):
        memory.add(f"T{width}", "row", [(name, width) for name in names if widths[name[2:]] == width])
