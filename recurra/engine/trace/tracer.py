"""Traces a cell's step and its wrappers to one list of operations for the new state and every derivative.

PyTorch differentiates the step (`torch.func.vjp`) and traces it (`make_fx`); no derivative is written by hand. Matrix
products are not elementwise, so that the list is cut there: the output of a product is an input of the list, the input
of a product is an output, and the reverse holds for derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.cells import Cell, Gates, State, Vectors
from recurra.cells.builtin_code import is_untouched
from recurra.engine.trace.operand import Kind, Operand
from recurra.engine.trace.operations import Op, Untraceable, Value
from recurra.engine.trace.subject import Subject
from recurra.engine.trace.writer import Writer, traced_graph
from recurra.engine.wrappers import normalise, recurrent_part, vectors_of, zone_out

Tensors = dict[Operand, Tensor]
OnProduct = Callable[[str, tuple[Operand, ...], Tensor, Tensors], None]
"""Called at each product with the matrix, "hh" or "hr", its outputs, its input, and the tensors by operand."""


@dataclass(frozen=True)
class Variant:
    """The wrappers of a cell's formula and the sizes, on which compiled code depends besides the cell."""

    hidden: int
    """H."""
    projected: int = 0
    """P; 0 without a projection."""
    bias: bool = True
    normalised: bool = False
    dropped: bool = False
    """Whether the input of a recurrent product is multiplied by a mask, (B, P)."""
    zoned: tuple[str, ...] = ()
    """For each state "step" if its zoneout is (T, B, size), "unit" if it is (size,), "" without zoneout."""
    shown: bool = False
    """Whether the gates are returned."""


class Cut(NamedTuple):
    """A matrix product, outputs = W input."""

    matrix: str
    """"hh" or "hr"."""
    outputs: tuple[Operand, ...]
    """One per block of rows of W: RECURRENT of a gate, or PROJECTED."""
    input: Operand
    """STATE h itself, or a PRODUCT_INPUT."""


@dataclass(frozen=True)
class Recorded:
    """A step as operations, with the operands that it reads and writes (see `Kind`)."""

    operations: tuple[Op, ...]
    widths: dict[Operand, int]
    """The width of every input and operation."""
    outputs: dict[Operand, Value]
    """NEW_STATE, GATE and PRODUCT_INPUT; and the derivative of every input."""
    cuts: tuple[Cut, ...]


def record(cell: Cell | Subject, variant: Variant, dtype: torch.dtype = torch.float32) -> Recorded:
    """The cell's step and its derivative as operations.

    Raises:
        Untraceable: an operator without a rule, a mixture of rows, or a decision that depends on numbers.
    """
    if isinstance(cell, Cell):
        cell = Subject.of(cell)
    # Another number than H and P, so that shapes show which axis is the batch.
    rows = 2 if variant.hidden != 2 and variant.projected != 2 else 3
    inputs = _inputs(cell, variant)
    cuts = _find_cuts(cell, variant, inputs, rows, dtype)
    inputs |= {output: variant.projected for cut in cuts for output in cut.outputs if output.kind is Kind.PROJECTED}
    results = _results(cell, variant, cuts)
    widths = inputs | _derivative_widths(variant, inputs, results, cuts)
    writer = Writer(rows, widths, dtype)
    joint = _step_and_derivative(cell, variant, list(inputs))
    values = writer.write(traced_graph(joint, [*_example(widths, rows, dtype).values()]), list(widths))
    # The order of `joint`: results of the step, then the derivatives of all inputs.
    outputs = dict(zip([*results, *(operand.derivative for operand in inputs)], values, strict=True))
    if any(isinstance(outputs[cut.input], float) for cut in cuts if cut.input in outputs):
        raise Untraceable("a product with a constant")
    if not is_untouched(type(cell.cell)):
        _check_sizes(cell, variant, inputs, rows, dtype)
    return Recorded(tuple(writer.operations), writer.widths, outputs, cuts)


def _inputs(cell: Subject, variant: Variant) -> dict[Operand, int]:
    """The inputs of the step and their widths, except the outputs of projections."""
    H = variant.hidden
    narrow = variant.projected or H
    state = H if cell.formula.reads_h else narrow
    widths = {Operand(Kind.INPUT, gate): H for gate in cell.gates}
    widths |= {Operand(Kind.RECURRENT, gate): H for gate in cell.recurrent}
    widths |= {Operand(Kind.STATE, name): state if name == "h" else H for name in cell.states}
    widths |= {Operand(Kind.VECTOR, name): H for name in cell.vectors}
    if variant.normalised:
        names = [*cell.recurrent, *(f"state.{name}" for name in cell.formula.normalised)]
        widths |= {Operand(Kind.GAIN, name): H for name in names}
        shifted = names if variant.bias else names[len(cell.recurrent) :]
        widths |= {Operand(Kind.SHIFT, name): H for name in shifted}
    if variant.dropped:
        widths[Operand(Kind.DROPOUT_MASK, "h")] = narrow
    # A mask has the width of its state, which with a projection is not always H.
    for name, zoned in zip(cell.states, variant.zoned, strict=False):
        if zoned:
            widths[Operand(Kind.ZONEOUT_MASK, name)] = widths[Operand(Kind.STATE, name)]
    return widths


def _find_cuts(
    cell: Subject, variant: Variant, inputs: dict[Operand, int], rows: int, dtype: torch.dtype
) -> tuple[Cut, ...]:
    """The products of a step in their order, by running it once."""
    cuts: list[Cut] = []
    computed = 0

    def on_product(matrix: str, outputs: tuple[Operand, ...], v: Tensor, tensors: Tensors) -> None:
        nonlocal computed
        if any(set(outputs) & set(cut.outputs) for cut in cuts):
            raise Untraceable(f"two products of one gate, {', '.join(output.name for output in outputs)}")
        # Any numbers serve: the trace reads only which tensors enter which products.
        if matrix == "hr":
            tensors[outputs[0]] = torch.full((rows, variant.projected), 0.3, device="cpu")
        read = Operand(Kind.STATE, "h")
        if v is not tensors[read]:
            read = Operand(Kind.PRODUCT_INPUT, str(computed))
            computed += 1
        cuts.append(Cut(matrix, outputs, read))

    _step(cell, variant, _example(inputs, rows, dtype), on_product)
    return tuple(cuts)


def _results(cell: Subject, variant: Variant, cuts: tuple[Cut, ...]) -> list[Operand]:
    """The outputs of the step: new states, returned gates, computed inputs of products."""
    shown = [Operand(Kind.GATE, name) for name in cell.formula.shown] if variant.shown else []
    computed = [cut.input for cut in cuts if cut.input.kind is Kind.PRODUCT_INPUT]
    return [*(Operand(Kind.NEW_STATE, state) for state in cell.states), *shown, *computed]


def _derivative_widths(
    variant: Variant, inputs: dict[Operand, int], results: list[Operand], cuts: tuple[Cut, ...]
) -> dict[Operand, int]:
    """The derivatives of the loss by the outputs of the step, which its backward step reads, and their widths."""
    widths: dict[Operand, int] = {}
    for result in results:
        width = variant.hidden
        if result.kind is Kind.NEW_STATE:
            width = inputs[Operand(Kind.STATE, result.name)]
        elif result.kind is Kind.PRODUCT_INPUT:
            cut = next(cut for cut in cuts if cut.input == result)
            width = variant.hidden if cut.matrix == "hr" or not variant.projected else variant.projected
        widths[result.derivative] = width
    return widths


def _step_and_derivative(cell: Subject, variant: Variant, inputs: list[Operand]) -> Callable[..., tuple[Tensor, ...]]:
    """A function of the inputs and the derivatives of the results, to the results and the derivatives of the inputs."""

    def joint(*tensors: Tensor) -> tuple[Tensor, ...]:
        def step(*values: Tensor) -> tuple[Tensor, ...]:
            products: list[Tensor] = []

            def on_product(matrix: str, outputs: tuple[Operand, ...], v: Tensor, tensors: Tensors) -> None:
                if v is not tensors[Operand(Kind.STATE, "h")]:
                    products.append(v)

            new, gates = _step(cell, variant, dict(zip(inputs, values, strict=True)), on_product)
            return (*new, *(gates if variant.shown else ()), *products)

        # One trace for both, so that the derivative shares the operations of the step instead of repeating them.
        results, pull = torch.func.vjp(step, *tensors[: len(inputs)])  # type: ignore[misc]
        return (*results, *pull(tuple(tensors[len(inputs) :])))

    return joint


def _example(widths: dict[Operand, int], rows: int, dtype: torch.dtype) -> Tensors:
    """A tensor (rows, width) for each operand, each filled with a different number."""
    return {
        operand: torch.full((rows, width), 0.1 + 0.01 * k, dtype=dtype, device="cpu")
        for k, (operand, width) in enumerate(widths.items())
    }


def _check_sizes(cell: Subject, variant: Variant, widths: dict[Operand, int], rows: int, dtype: torch.dtype) -> None:
    """A formula may read the number of rows or the shape of a vector, which differ between a trace and a call.

    Raises:
        Untraceable: the step differs for another number of rows, or for vectors with one axis.
    """

    def operations(rows: int, axes: int) -> list[Op]:
        values = _example(widths, rows, dtype)
        if axes == 1:
            values |= {operand: tensor[0] for operand, tensor in values.items() if operand.kind is Kind.VECTOR}

        def step(*tensors: Tensor) -> tuple[Tensor, ...]:
            new, gates = _step(cell, variant, dict(zip(values, tensors, strict=True)), lambda *product: None)
            return (*new, *gates)

        writer = Writer(rows, widths, dtype)
        writer.write(traced_graph(step, list(values.values())), list(values))
        return writer.operations

    if operations(rows, 2) != operations(rows + 3, 1):
        raise Untraceable("its step reads the shape of its tensors, such as the number of rows")


def _step(cell: Subject, variant: Variant, tensors: Tensors, on_product: OnProduct) -> tuple[State, Gates]:
    """Runs the step with its wrappers on tensors by operand, which include the outputs of products."""
    projections = 0

    def product(gates: tuple[str, ...], v: Tensor) -> list[Tensor]:
        outputs = tuple(Operand(Kind.RECURRENT, gate) for gate in gates)
        on_product("hh", outputs, v, tensors)
        return [tensors[output] for output in outputs]

    def project(v: Tensor) -> Tensor:
        nonlocal projections
        output = Operand(Kind.PROJECTED, str(projections))
        projections += 1
        on_product("hr", (output,), v, tensors)
        return tensors[output]

    def normalised(gate: str, u: Tensor) -> Tensor:
        scaled = normalise(u, tensors[Operand(Kind.GAIN, gate)])
        return scaled + tensors[Operand(Kind.SHIFT, gate)] if variant.bias else scaled

    recurrence = recurrent_part(
        cell.recurrent,
        cell.formula,
        product,
        project if variant.projected else None,
        tensors.get(Operand(Kind.DROPOUT_MASK, "h")),
        normalised if variant.normalised else None,
    )
    state = State(**_by_name(tensors, Kind.STATE, cell.states))
    x = Gates(**_by_name(tensors, Kind.INPUT, cell.gates))
    new, gates = cell.step(x, recurrence(state.h), state, _vectors(cell, variant, tensors))
    # A formula that reads its own h needs it unprojected; then the projection follows in the next product.
    if variant.projected and not cell.formula.reads_h:
        new = State(**{**new._asdict(), "h": project(new.h)})
    if any(variant.zoned):
        new = zone_out(new, state, [tensors.get(Operand(Kind.ZONEOUT_MASK, name)) for name in cell.states])
    return new, gates


def _vectors(cell: Subject, variant: Variant, tensors: Tensors) -> Vectors:
    """The per-unit vectors of the cell, with the normalisation of its states."""
    norms = None
    if variant.normalised:
        names = tuple(f"state.{name}" for name in cell.formula.normalised)
        gains, shifts = _by_name(tensors, Kind.GAIN, names), _by_name(tensors, Kind.SHIFT, names)
        norms = list(zip(gains.values(), shifts.values(), strict=True))
    return vectors_of(cell.vectors, cell.formula, list(_by_name(tensors, Kind.VECTOR, cell.vectors).values()), norms)


def _by_name(tensors: Tensors, kind: Kind, names: tuple[str, ...]) -> dict[str, Tensor]:
    return {name: tensors[Operand(kind, name)] for name in names}
