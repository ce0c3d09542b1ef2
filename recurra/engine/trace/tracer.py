"""From a cell's step, with what stands around it, to one list of operations: the new state and every derivative.

PyTorch differentiates the step (`torch.func.vjp`) and writes it down (`make_fx`); nothing is differentiated by hand.
Matrix products are not elementwise: the list is cut there. What a product gives is an input of the list, what enters it
an output, and the other way round for derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.cells import Cell, Gates, State
from recurra.cells.builtin_code import is_untouched
from recurra.cells.cell import Formula
from recurra.engine.trace.operations import Op, Untraceable, Value, Writer, traced_graph
from recurra.engine.trace.signature import Outline
from recurra.engine.wrappers import normalise, recurrent_part, vectors_of, zone_out


@dataclass(frozen=True)
class Variant:
    """What stands around a cell's formula, and the sizes: with the cell, all that a compiled form depends on."""

    hidden: int
    """H."""
    projected: int = 0
    """P; 0 without a projection."""
    bias: bool = True
    normalised: bool = False
    dropped: bool = False
    """Whether what enters a product is multiplied by a mask, (B, P)."""
    zoned: tuple[str, ...] = ()
    """For each state "step" where its zoneout is (T, B, size), "unit" where it is (size,), "" where it has none."""
    shown: bool = False
    """Whether the gates come out."""


class Cut(NamedTuple):
    """A matrix product, outputs = W operand."""

    matrix: str
    """"hh" or "hr"."""
    outputs: tuple[str, ...]
    """What it gives, a name for each block of rows of W: "u.i" of gate i, or "w.0"."""
    operand: str
    """What enters it: the state itself, "s.h", or something computed, "v.0"."""


@dataclass(frozen=True)
class Recorded:
    """A step written down.

    Inputs by name: "x.i" the input's part of gate i, "u.i" and "w.0" what products give, "s.c" the old state, "p.k" a
    vector of the cell, "gain.i" and "shift.i" of a normalised product, "gain.c" and "shift.c" of a normalised state,
    "m.h" the mask of what enters products, "k.c" of zoneout; backwards "d.c" the loss's derivative by the new state,
    "dg.i" by a gate that comes out, "dv.0" by what enters a product.

    Outputs: "n.c" the new state, "g.i" a gate, "v.0"; backwards "d" and the name of an input, such as "dx.i", "ds.c".
    """

    operations: tuple[Op, ...]
    widths: dict[str, int]
    """Of every input and operation."""
    outputs: dict[str, Value]
    cuts: tuple[Cut, ...]


@dataclass(frozen=True)
class Subject:
    """A cell to write down, whose names and formula stay as they were when it was looked at."""

    outline: Outline
    cell: Cell

    @property
    def gates(self) -> tuple[str, ...]:
        """As the cell's."""
        return self.outline.gates

    @property
    def recurrent(self) -> tuple[str, ...]:
        """As the cell's."""
        return self.outline.recurrent

    @property
    def states(self) -> tuple[str, ...]:
        """As the cell's."""
        return self.outline.states

    @property
    def vectors(self) -> tuple[str, ...]:
        """As the cell's."""
        return self.outline.vectors

    @property
    def formula(self) -> Formula:
        """As it was."""
        return self.outline.formula

    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """The cell's step."""
        return self.cell.step(x, u, s, p)


def record(cell: Cell | Subject, variant: Variant, dtype: torch.dtype = torch.float32) -> Recorded:
    """The cell's step and its derivative as operations.

    Raises:
        Untraceable: an operator without a rule, a mixture of rows, or a decision that depends on numbers.
    """
    if isinstance(cell, Cell):
        parts = cell.gates, cell.recurrent, cell.states, cell.vectors
        cell = Subject(Outline(*parts, cell.formula), cell)
    found: list[tuple[str, tuple[str, ...], bool]] = []
    widths = _inputs(cell, variant)
    rows = 2 if variant.hidden != 2 and variant.projected != 2 else 3
    values = _values(widths, rows, dtype)

    def discover(matrix: str, outputs: tuple[str, ...], v: Tensor, env: dict[str, Tensor]) -> None:
        if any(set(outputs) & set(other) for _, other, _ in found):
            raise Untraceable(f"two products of one gate, {', '.join(name[2:] for name in outputs)}")
        if matrix == "hr":
            widths[outputs[0]] = variant.projected
            env[outputs[0]] = torch.full((rows, variant.projected), 0.3, device="cpu")
        found.append((matrix, outputs, v is env["s.h"]))

    _step(cell, variant, dict(values), discover)
    cuts, operands = _cuts(found)
    primals = list(widths)
    shown = [f"g.{name}" for name in cell.formula.shown] if variant.shown else []
    made = [*(f"n.{state}" for state in cell.states), *shown, *operands]
    cotangents = {**{f"d{name}" if name[0] != "n" else f"d{name[1:]}": 0 for name in made}}
    for name in cotangents:
        group, _, member = name.partition(".")
        if group == "dv":
            cut = next(cut for cut in cuts if cut.operand == f"v.{member}")
            wide = cut.matrix == "hr" or not variant.projected
            cotangents[name] = variant.hidden if wide else variant.projected
        else:
            cotangents[name] = widths[f"s.{member}"] if group == "d" else variant.hidden

    def joint(*given: Tensor) -> tuple[Tensor, ...]:
        def outputs(*inputs: Tensor) -> tuple[Tensor, ...]:
            taken: list[Tensor] = []

            def take(matrix: str, names: tuple[str, ...], v: Tensor, env: dict[str, Tensor]) -> None:
                if v is not env["s.h"]:
                    taken.append(v)

            new, gates = _step(cell, variant, dict(zip(primals, inputs, strict=True)), take)
            return (*new, *(gates if variant.shown else ()), *taken)

        out, pull = torch.func.vjp(outputs, *given[: len(primals)])  # type: ignore[misc]
        return (*out, *pull(tuple(given[len(primals) :])))

    all_widths = {**widths, **cotangents}
    writer = Writer(rows, all_widths, dtype)
    results = writer.write(traced_graph(joint, [*_values(all_widths, rows, dtype).values()]), list(all_widths))
    outputs = dict(zip([*made, *(f"d{name}" for name in primals)], results, strict=True))
    if any(isinstance(outputs[operand], float) for operand in operands):
        raise Untraceable("a product with a constant")
    if not is_untouched(type(cell.cell)):
        _check_sizes(cell, variant, widths, rows, dtype)
    return Recorded(tuple(writer.operations), writer.widths, outputs, cuts)


def _values(widths: dict[str, int], rows: int, dtype: torch.dtype) -> dict[str, Tensor]:
    return {
        name: torch.full((rows, width), 0.1 + 0.01 * k, dtype=dtype, device="cpu")
        for k, (name, width) in enumerate(widths.items())
    }


def _check_sizes(cell: Subject, variant: Variant, widths: dict[str, int], rows: int, dtype: torch.dtype) -> None:
    """A formula may ask for the number of rows, or for the shape of a vector, which are not what they are in a trace.

    Raises:
        Untraceable: the step is another one for another number of rows, or with vectors of one axis.
    """

    def written(rows: int, axes: int) -> list[Op]:
        values = _values(widths, rows, dtype)
        values |= {name: tensor[0] for name, tensor in values.items() if name[:2] == "p." and axes == 1}

        def outputs(*given: Tensor) -> tuple[Tensor, ...]:
            new, gates = _step(cell, variant, dict(zip(values, given, strict=True)), lambda *product: None)
            return (*new, *gates)

        writer = Writer(rows, widths, dtype)
        writer.write(traced_graph(outputs, list(values.values())), list(values))
        return writer.operations

    if written(rows, 2) != written(rows + 3, 1):
        raise Untraceable("its step asks for the shape of its tensors, the number of rows say")


def _inputs(cell: Subject, variant: Variant) -> dict[str, int]:
    """The names and widths of what the step reads, but for what projections give."""
    H = variant.hidden
    narrow = variant.projected or H
    state = H if cell.formula.reads_h else narrow
    widths = {**{f"x.{gate}": H for gate in cell.gates}, **{f"u.{gate}": H for gate in cell.recurrent}}
    widths |= {f"s.{name}": state if name == "h" else H for name in cell.states}
    widths |= {f"p.{name}": H for name in cell.vectors}
    if variant.normalised:
        names = [*cell.recurrent, *(f"state.{name}" for name in cell.formula.normalised)]
        widths |= {f"gain.{name}": H for name in names}
        widths |= {f"shift.{name}": H for name in (names if variant.bias else names[len(cell.recurrent) :])}
    if variant.dropped:
        widths["m.h"] = narrow
    widths |= {f"k.{name}": widths[f"s.{name}"] for name, kind in zip(cell.states, variant.zoned, strict=False) if kind}
    return widths


def _cuts(found: list[tuple[str, tuple[str, ...], bool]]) -> tuple[tuple[Cut, ...], list[str]]:
    """The products with their operands named, and the names of the computed ones in order."""
    cuts: list[Cut] = []
    operands: list[str] = []
    for matrix, outputs, raw in found:
        if not raw:
            operands.append(f"v.{len(operands)}")
        cuts.append(Cut(matrix, outputs, "s.h" if raw else operands[-1]))
    return tuple(cuts), operands


def _step(cell: Subject, variant: Variant, env: dict[str, Tensor], take: Any) -> tuple[State, Gates]:
    """The step with its surroundings; `take` is told of each product in order."""
    count = 0

    def product(gates: tuple[str, ...], v: Tensor) -> list[Tensor]:
        take("hh", tuple(f"u.{gate}" for gate in gates), v, env)
        return [env[f"u.{gate}"] for gate in gates]

    def project(v: Tensor) -> Tensor:
        nonlocal count
        name = f"w.{count}"
        count += 1
        take("hr", (name,), v, env)
        return env[name]

    def shape(gate: str, u: Tensor) -> Tensor:
        made = normalise(u, env[f"gain.{gate}"])
        return made + env[f"shift.{gate}"] if variant.bias else made

    reads_h = cell.formula.reads_h
    fed = project if variant.projected else None
    recurrence = recurrent_part(
        cell.recurrent, cell.formula, product, fed, env.get("m.h"), shape if variant.normalised else None
    )
    state = State(**{name: env[f"s.{name}"] for name in cell.states})
    norms = (
        [(env[f"gain.state.{name}"], env[f"shift.state.{name}"]) for name in cell.formula.normalised]
        if (variant.normalised)
        else None
    )
    vectors = vectors_of(cell.vectors, cell.formula, [env[f"p.{name}"] for name in cell.vectors], norms)
    x = Gates(**{gate: env[f"x.{gate}"] for gate in cell.gates})
    new, shown = cell.step(x, recurrence(state.h), state, vectors)
    if variant.projected and not reads_h:
        new = State(**{**new._asdict(), "h": project(new.h)})
    if any(variant.zoned):
        new = zone_out(new, state, [env.get(f"k.{name}") for name in cell.states])
    return new, shown
