"""Converts a step to a list of operations: PyTorch traces it to a graph, whose operators are translated one by one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from recurra.engine.trace.decompositions import decompositions
from recurra.engine.trace.operand import Kind, Operand
from recurra.engine.trace.operations import CONDITIONS, OPERATORS, Op, Untraceable, Value

_LOGICAL = {"and", "or", "not"}
# Options that do not change the numbers of a result.
_HARMLESS = {"dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking"}
_SCALED = {"aten.add", "aten.sub"}
"""Operators with a factor `alpha` for their second argument."""
_POWERS: dict[float, str] = {0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}
_WHOLE_NUMBERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
_EXACT_TO = 2**24
"""Integers up to this are exact in float32."""
_SHAPES = {
    "aten.alias", "aten.clone", "aten.detach", "aten.expand", "aten.view", "aten.reshape", "aten.squeeze",
    "aten.unsqueeze", "aten.lift_fresh_copy", "aten.lift_fresh", "aten._unsafe_view",
}  # fmt: skip
_CONSTANTS: dict[str, Callable[[fx.Node], Any]] = {
    "aten.full_like": lambda node: node.args[1],
    "aten.full": lambda node: node.args[1],
    "aten.scalar_tensor": lambda node: node.args[0],
    "aten.zeros_like": lambda node: 0.0,
    "aten._efficientzerotensor": lambda node: 0.0,
    "aten.zeros": lambda node: 0.0,
    "aten.new_zeros": lambda node: 0.0,
    "aten.ones_like": lambda node: 1.0,
    "aten.ones": lambda node: 1.0,
    # Only their shape is read; NaN shows if a number is read after all.
    "aten.empty_permuted": lambda node: math.nan,
    "aten.empty_like": lambda node: math.nan,
    "aten.empty": lambda node: math.nan,
    "aten.fill": lambda node: node.args[1],
}


class Writer:
    """Converts a traced graph to a list of operations, equal ones only once."""

    def __init__(self, rows: int, widths: dict[Operand, int], dtype: torch.dtype) -> None:
        self.rows, self.dtype = rows, dtype
        self.widths = dict(widths)
        """The width of each input and operation."""
        self.operations: list[Op] = []
        self._known: dict[tuple[Any, ...], Operand] = {}
        self._conditions: set[Operand] = set()
        self._values: dict[fx.Node, Value] = {}

    def write(self, graph: fx.Graph, inputs: list[Operand]) -> list[Value]:
        """The values of the graph's outputs; `inputs` are its inputs in order."""
        placeholders = iter(inputs)
        outputs: list[Value] = []
        for node in graph.nodes:
            if node.op == "placeholder":
                self._values[node] = next(placeholders)
            elif node.op == "output":
                outputs = [0.0 if result is None else self._values[result] for result in node.args[0]]
            elif node.op == "call_function":
                self._values[node] = self._node(node)
            else:
                self._values[node] = _held_number(node)
        return outputs

    def _node(self, node: fx.Node) -> Value:
        name = _operator(node)
        if name in _CONSTANTS:
            return _rounded(float(_CONSTANTS[name](node)), node.meta["val"].dtype)
        self._check(node, name)
        arguments = tuple(self._values[arg] if isinstance(arg, fx.Node) else arg for arg in node.args)
        # A step works on rows of units: views and expansions change no numbers.
        if name in _SHAPES:
            return self._as_value(arguments[0])
        if name in ("aten.mean", "aten.sum"):
            return self._reduction(node, name, arguments)
        if name in ("aten._to_copy", "prims.convert_element_type"):
            value = self._as_value(arguments[0])
            return self._condition(value) if node.meta["val"].dtype == torch.bool else self._number(value)
        if name == "aten.pow":
            return self._power(*map(self._as_value, arguments))
        if name in _SCALED and node.kwargs.get("alpha", 1) != 1:
            factor = self._as_value(node.kwargs["alpha"])
            arguments = (arguments[0], self.emit("mul", self._as_value(arguments[1]), factor))
        if name == "aten.clamp":
            return self._clamp(arguments)
        if name not in OPERATORS:
            raise Untraceable(
                f"the operator {name or node.target} has no rule; there are rules for "
                f"{', '.join(sorted(set(OPERATORS.values()) - CONDITIONS))},"
                " comparisons, and sums and means over the units"
            )
        return self.emit(OPERATORS[name], *(self._as_value(argument) for argument in arguments))

    def _check(self, node: fx.Node, name: str) -> None:
        """Raises an error if a result is not a tensor of rows and units, or an operator has options without a rule."""
        result = node.meta.get("val")
        if not isinstance(result, torch.Tensor):
            raise Untraceable(f"the operator {name or node.target} has no rule")
        shape = tuple(result.shape)
        of_vectors = len(shape) == 1 and shape[0] in self.widths.values()
        if shape and shape[0] != self.rows and not of_vectors:
            raise Untraceable(f"{name} returns {shape} for (B, H): it is neither elementwise nor a sum over units")
        of_number = name in ("aten.lift_fresh_copy", "aten.lift_fresh") and not shape
        if result.dtype not in (self.dtype, torch.bool) and not of_number and not _is_count(node, name, result.dtype):
            raise Untraceable(f"{name} returns numbers of type {result.dtype}")
        further = {key for key, value in node.kwargs.items() if value is not None} - _HARMLESS
        if name in _SCALED:
            further -= {"alpha"}
        if further:
            raise Untraceable(f"{name} with {', '.join(sorted(further))}")

    @staticmethod
    def _as_value(argument: Any) -> Value:
        if isinstance(argument, (bool, int, float)):
            return math.nan if argument != argument else float(argument)  # one NaN, which is equal to itself in tuples
        if isinstance(argument, Operand):
            return argument
        raise Untraceable(f"an operator with the argument {argument!r}")

    def emit(self, kind: str, *arguments: Value) -> Value:
        """Appends an operation, unless an equal one exists or it simplifies; returns its result."""
        if kind == "where":
            arguments = (self._condition(arguments[0]), *map(self._number, arguments[1:]))
        else:
            arguments = tuple(map(self._condition if kind in _LOGICAL else self._number, arguments))
        simple = _simple(kind, arguments)
        if simple is not None:
            return simple
        # Equal operations on equal arguments are written once.
        key = (kind, arguments)
        if key not in self._known:
            name = Operand(Kind.RESULT, f"{kind}{len(self.operations)}")
            width = max((self.widths[a] for a in arguments if isinstance(a, Operand)), default=0)
            self.operations.append(Op(name, kind, arguments, width))
            self._known[key], self.widths[name] = name, width
            if kind in CONDITIONS:
                self._conditions.add(name)
        return self._known[key]

    def _number(self, value: Value) -> Value:
        """Converts a condition to 0 or 1; returns any other value unchanged."""
        return self.emit("where", value, 1.0, 0.0) if value in self._conditions else value

    def _condition(self, value: Value) -> Value:
        """Converts a number to whether it is not 0; returns a condition unchanged."""
        return value if value in self._conditions else self.emit("ne", value, 0.0)

    def _reduction(self, node: fx.Node, name: str, arguments: tuple[Any, ...]) -> Value:
        source = node.args[0]
        assert isinstance(source, fx.Node)
        shape = tuple(source.meta["val"].shape)
        if len(arguments) < 2 or [dim % len(shape) for dim in arguments[1]] != [1] or len(shape) != 2:
            raise Untraceable(f"{name} over anything but the units of a row")
        value = self._number(self._as_value(arguments[0]))
        if isinstance(value, float) or self.widths[value] == 0:
            # One number per row that was expanded over the units: its sum is the number times their count.
            total = self.emit("mul", value, float(shape[1]))
        else:
            key = ("sum", (value,))
            if key not in self._known:
                result = Operand(Kind.RESULT, f"sum{len(self.operations)}")
                self.operations.append(Op(result, "sum", (value,), 0))
                self._known[key], self.widths[result] = result, 0
            total = self._known[key]
        return self.emit("div", total, float(shape[1])) if name == "aten.mean" else total

    def _power(self, base: Value, exponent: Value) -> Value:
        """A power as PyTorch computes it: small integer exponents by products, others by the C library's function."""
        if exponent in (0, 1):
            return base if exponent else 1.0
        if exponent in (2, 3, -2):
            square = self.emit("mul", base, base)
            if exponent == 2:
                return square
            return self.emit("mul", square, base) if exponent == 3 else self.emit("reciprocal", square)
        if isinstance(exponent, float) and exponent in _POWERS:
            return self.emit(_POWERS[exponent], base)
        if base == 2.0:
            return self.emit("exp2", exponent)
        return self.emit("pow", base, exponent)

    def _clamp(self, arguments: tuple[Any, ...]) -> Value:
        value, *ends = arguments
        for kind, end in zip(("maximum", "minimum"), ends, strict=False):
            if end is not None:
                value = self.emit(kind, self._as_value(value), self._as_value(end))
        return self._as_value(value)


def _simple(kind: str, arguments: tuple[Value, ...]) -> Value | None:
    """The result of an operation that needs no computation, such as x + 0; None for any other."""
    if kind == "add" and arguments[1] == 0.0:
        return arguments[0]
    if kind == "add" and arguments[0] == 0.0:
        return arguments[1]
    if kind == "sub" and arguments[1] == 0.0:
        return arguments[0]
    if kind in ("mul", "div") and arguments[1] == 1.0:
        return arguments[0]
    if kind == "mul" and arguments[0] == 1.0:
        return arguments[1]
    if kind == "where" and isinstance(arguments[1], float) and arguments[1] == arguments[2]:
        return arguments[1]
    if kind == "neg" and isinstance(arguments[0], float) and not math.isnan(arguments[0]):
        return -arguments[0]
    return None


def _operator(node: fx.Node) -> str:
    """The operator without its overload, and without "_" if in place on a tensor that nothing else reads."""
    name = str(node.target).rpartition(".")[0]
    written = node.args[0] if name.endswith("_") else None
    if not isinstance(written, fx.Node) or written.op != "call_function" or len(written.users) > 1:
        return name
    is_view = str(written.target).rpartition(".")[0] in _SHAPES
    return name if is_view else name[:-1]


def _held_number(node: fx.Node) -> float:
    """The number of a tensor that a step makes from a number, `torch.tensor(0.5)`.

    Raises:
        Untraceable: the tensor has more numbers, or exists outside the step and could have others at the next call.
    """
    is_local = str(node.target).startswith("_tensor_constant") and all(
        str(user.target).startswith("aten.lift_fresh") for user in node.users
    )
    tensor = getattr(node.graph.owning_module, str(node.target), None)
    if not is_local or not isinstance(tensor, torch.Tensor) or tensor.dim() or tensor.is_complex():
        raise Untraceable(f"its step uses a tensor that is not an argument ({node.target})")
    return _rounded(float(tensor), tensor.dtype)


def _rounded(value: float, dtype: torch.dtype) -> float:
    """The number rounded to a dtype; integers and conditions unchanged, NaN as `math.nan`."""
    rounded = float(torch.tensor(value, dtype=dtype)) if dtype.is_floating_point else value
    return math.nan if math.isnan(rounded) else rounded


def _is_count(node: fx.Node, name: str, dtype: torch.dtype) -> bool:
    """Whether the results of an operator are exact in any dtype: conditions as 0 and 1, sums of them, constants."""
    if name == "aten.where":
        return all(_is_exact(argument, dtype) for argument in node.args[1:])
    if dtype not in _WHOLE_NUMBERS or name not in (
        "aten._to_copy", "prims.convert_element_type", "aten.sum"
    ):  # fmt: skip
        return False
    source = node.args[0]
    assert isinstance(source, fx.Node)
    return bool(source.meta["val"].dtype == torch.bool)


def _is_exact(argument: Any, dtype: torch.dtype) -> bool:
    """Whether an argument is a constant; of an integer, whether float32 represents it."""
    if not isinstance(argument, fx.Node):
        return False
    name = str(argument.target).rpartition(".")[0]  # such as aten.scalar_tensor
    if name not in _CONSTANTS:
        return False
    return dtype.is_floating_point or abs(float(_CONSTANTS[name](argument))) <= _EXACT_TO


def traced_graph(function: Callable[..., tuple[torch.Tensor, ...]], values: list[torch.Tensor]) -> fx.Graph:
    """The function as a graph of PyTorch's core operators, without unused results.

    Raises:
        Untraceable: PyTorch's tracer cannot follow the function, for example because it branches on values.
    """
    from torch.fx.experimental.proxy_tensor import make_fx

    try:
        module = make_fx(torch.func.functionalize(function), decomposition_table=decompositions())(*values)
    except Exception as error:  # any error of a formula or of the tracer: the unrolled steps can still run it
        first = (str(error).splitlines() or [""])[0]
        raise Untraceable(f"its step cannot be traced ({type(error).__name__}: {first})") from error
    module.graph.eliminate_dead_code()
    return module.graph
