"""From a cell's step to two lists of elementwise operations: the step, and its derivative.

PyTorch differentiates the step (`torch.func.vjp`) and writes it down (`make_fx`); what comes out is a handful of
elementwise operators, which a compiled engine prints in its own language. Nothing is differentiated by hand.

The backward list recomputes the gates from their pre-activations: for the LSTM five transcendental functions a unit,
against the 24 (I + H) multiplications and additions of its products. Kept for it are only the states, and for each gate
the sum x + u where the formula reads nothing else of the two, otherwise both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from recurra.cells import Cell, Gates, Recurrence, State, Vectors

Value = str | float
"""The name of an input or of an earlier operation, or a number."""


class Op(NamedTuple):
    """`name = kind(arguments)`, elementwise."""

    name: str
    kind: str
    arguments: tuple[Value, ...]


@dataclass(frozen=True)
class Formula:
    """Operations in order, and which values come out: by name of what they are, such as "h" or "dx.i"."""

    operations: tuple[Op, ...]
    outputs: dict[str, Value]


@dataclass(frozen=True)
class Traced:
    """A cell's step written down.

    Inputs are named "x.i", "u.i", "a.i" (the sum of both), "s.c", "p.k" and, backwards, "d.h" (the loss's derivative by
    the new h).

    Args:
        summed: the recurrent gates of which the formula reads x + u only.
        forward: outputs are the states by name.
        backward: outputs are "dx.i" for every gate, "du.i" for recurrent gates that are not summed, "ds.c", "dp.k".
    """

    summed: tuple[str, ...]
    forward: Formula
    backward: Formula


class Untraceable(Exception):
    """The step does something that cannot be written down, in words."""


_KINDS = {
    "aten.add": "add", "aten.sub": "sub", "aten.rsub": "rsub", "aten.mul": "mul", "aten.div": "div",
    "aten.neg": "neg", "aten.reciprocal": "reciprocal", "aten.abs": "abs", "aten.sqrt": "sqrt", "aten.sign": "sign",
    "aten.exp": "exp", "aten.sigmoid": "sigmoid", "aten.tanh": "tanh", "aten.relu": "relu",
    "aten.maximum": "maximum", "aten.minimum": "minimum", "aten.where": "where",
    "aten.le": "le", "aten.lt": "lt", "aten.ge": "ge", "aten.gt": "gt", "aten.eq": "eq", "aten.ne": "ne",
    "aten.logical_and": "and", "aten.logical_or": "or", "aten.logical_not": "not",
    "aten.bitwise_and": "and", "aten.bitwise_or": "or", "aten.bitwise_not": "not",
    "aten.alias": "same", "aten.clone": "same", "aten.detach": "same", "aten.expand": "same",
}  # fmt: skip
# Rows and units of the trace; no two alike, so that a transpose or a sum is noticed.
_SHAPE = (2, 3)
_CONSTANTS = {"aten.full_like": 1, "aten.scalar_tensor": 0, "aten.full": 1}


def trace(cell: Cell) -> Traced:
    """The cell's step and its derivative as elementwise operations.

    Raises:
        Untraceable: an operator without a rule, a second phase, or a decision that depends on numbers.
    """
    if cell.second_phase:
        raise Untraceable(f"a product with something the formula computes (gates {', '.join(cell.second_phase)})")
    names = _input_names(cell)
    forward = _graph(lambda *values: _step(cell, names, values), len(names))

    def derivative(*values: Tensor) -> tuple[Tensor, ...]:
        pull: Any = torch.func.vjp(lambda *inputs: _step(cell, names, inputs), *values[: len(names)])[1]
        found: tuple[Tensor, ...] = pull(values[len(names) :])
        return found

    backward = _graph(derivative, len(names) + len(cell.states))
    summed = tuple(gate for gate in cell.recurrent if all(_only_sum(g, names, gate) for g in (forward, backward)))
    grads = [f"d.{state}" for state in cell.states]
    out = {f"d{name}": place for place, name in enumerate(names) if name not in {f"u.{gate}" for gate in summed}}
    return Traced(
        summed,
        _formula(forward, names, summed, dict(zip(cell.states, range(len(cell.states)), strict=True))),
        _formula(backward, names + grads, summed, out),
    )


def _input_names(cell: Cell) -> list[str]:
    groups = {"x": cell.gates, "u": cell.recurrent, "s": cell.states, "p": cell.vectors}
    return [f"{group}.{name}" for group, members in groups.items() for name in members]


def _step(cell: Cell, names: list[str], values: Any) -> tuple[Tensor, ...]:
    groups: dict[str, dict[str, Tensor]] = {"x": {}, "u": {}, "s": {}, "p": {}}
    for name, value in zip(names, values, strict=True):
        group, _, member = name.partition(".")
        groups[group][member] = value
    new, _ = cell.step(Gates(**groups["x"]), Recurrence(groups["u"], None), State(**groups["s"]), Vectors(groups["p"]))
    return tuple(new)


def _graph(function: Callable[..., tuple[Tensor, ...]], inputs: int) -> fx.Graph:
    from torch._decomp import core_aten_decompositions
    from torch.fx.experimental.proxy_tensor import make_fx

    values = [torch.full(_SHAPE, 0.1 * (place + 1)) for place in range(inputs)]
    try:
        module = make_fx(function, decomposition_table=dict(core_aten_decompositions()))(*values)
    except Exception as error:  # whatever a user's formula or the tracer raises, the reference can still run it
        raise Untraceable(
            f"its step cannot be traced ({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from error
    module.graph.eliminate_dead_code()
    return module.graph


def _only_sum(graph: fx.Graph, names: list[str], gate: str) -> bool:
    """Whether x and u of a gate are read by nothing but one addition of the two."""
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    x, u = inputs[names.index(f"x.{gate}")], inputs[names.index(f"u.{gate}")]
    readers = {node for node in (*x.users, *u.users) if _kind(node) != "zero"}
    return len(readers) == 1 and all(
        _kind(node) == "add" and set(node.args) == {x, u} and not node.kwargs for node in readers
    )


def _kind(node: fx.Node) -> str:
    name = str(node.target).rpartition(".")[0] if node.op == "call_function" else ""
    if name in _CONSTANTS or name in ("aten.zeros_like", "aten.ones_like"):
        return "zero"
    return _KINDS.get(name, "")


def _formula(graph: fx.Graph, names: list[str], summed: tuple[str, ...], outputs: dict[str, int]) -> Formula:
    values: dict[fx.Node, Value] = {}
    operations: list[Op] = []
    places = iter(names)
    results: list[Any] = []
    for node in graph.nodes:
        if node.op == "placeholder":
            values[node] = next(places)
        elif node.op == "output":
            results = list(node.args[0])
        elif node.op == "call_function":
            values[node] = _operation(node, values, summed, operations)
        else:
            raise Untraceable(f"its step holds a tensor of its own ({node.target})")
    found = {name: values[results[place]] if results[place] is not None else 0.0 for name, place in outputs.items()}
    return Formula(tuple(operations), found)


def _operation(node: fx.Node, values: dict[fx.Node, Value], summed: tuple[str, ...], operations: list[Op]) -> Value:
    name, kind = str(node.target).rpartition(".")[0], _kind(node)
    if kind == "zero":
        if name in _CONSTANTS:
            return float(node.args[_CONSTANTS[name]])  # type: ignore[arg-type]
        return 1.0 if name == "aten.ones_like" else 0.0
    if tuple(node.meta["val"].shape) not in (_SHAPE, ()):
        raise Untraceable(f"{name} is not elementwise: it makes {tuple(node.meta['val'].shape)} of (B, H)")
    if name == "aten.pow":
        return _power(node, values, operations)
    if not kind:
        raise Untraceable(f"the operator {name or node.target} has no rule")
    if node.kwargs and any(value not in (None, 1) for key, value in node.kwargs.items() if key == "alpha"):
        raise Untraceable(f"{name} with alpha")
    arguments = tuple(values[arg] if isinstance(arg, fx.Node) else float(arg) for arg in _tensors(node))
    if kind == "same":
        return arguments[0]
    if kind == "add":
        gates = {str(argument)[2:] for argument in arguments if str(argument)[:2] in ("x.", "u.")}
        if len(gates) == 1 and gates <= set(summed) and {str(a)[:2] for a in arguments} == {"x.", "u."}:
            return f"a.{gates.pop()}"
    operations.append(Op(node.name, kind, arguments))
    return node.name


def _tensors(node: fx.Node) -> tuple[Any, ...]:
    if _kind(node) == "same":
        return (node.args[0],)
    return node.args


def _power(node: fx.Node, values: dict[fx.Node, Value], operations: list[Op]) -> Value:
    base, exponent = node.args
    if exponent not in (2, 3) or not isinstance(base, fx.Node):
        raise Untraceable(f"a power of {exponent}: write it as products")
    value, result = values[base], node.name
    operations.append(Op(result, "mul", (value, value)))
    if exponent == 3:
        operations.append(Op(result + "_", "mul", (result, value)))
        return result + "_"
    return result
