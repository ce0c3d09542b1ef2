"""Whether the code of the built-in cells is unmodified, so that their formulas need not be examined."""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType, ModuleType
from typing import Any

from recurra.cells.reachable_code import Guard, Reached, functions_in, names_in, static_attribute

_snapshots: dict[type, Reached] = {}


def remember(kinds: Iterable[type], tables: Iterable[dict[str, Any]]) -> None:
    """Takes a snapshot of the code of cells, and of the tables in which they look up functions."""
    shared = [Guard(table, name, value) for table in tables for name, value in table.items()]
    for kind in kinds:
        _snapshots[kind] = _reached_code(kind, shared)


def is_untouched(kind: type) -> bool:
    """Whether a class is a built-in cell, and nothing that its `step` reads has been replaced."""
    reached = _snapshots.get(kind)
    return reached is not None and reached.unchanged()


# torch.compile treats the result as a constant and does not trace the function. The decorator for it,
# torch.compiler.assume_constant_result, sets this attribute but imports the compiler, which `import recurra` avoids.
is_untouched._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _reached_code(kind: type, shared: list[Guard]) -> Reached:
    """The functions of this package that a step reaches, and all globals that they read."""
    functions: dict[int, FunctionType] = {}
    guards = [*shared, Guard(kind.__dict__, "step", static_attribute(kind, "step"))]
    todo = list(functions_in(static_attribute(kind, "step")))
    while todo:
        function = todo.pop()
        if id(function) in functions:
            continue
        functions[id(function)] = function
        names, global_names = list(names_in(function.__code__)), function.__globals__
        for name in names:
            if name not in global_names:
                continue
            value = global_names[name]
            guards.append(Guard(global_names, name, value))
            if isinstance(value, FunctionType) and value.__module__.startswith("recurra."):
                todo.append(value)
            elif isinstance(value, ModuleType):
                guards.extend(Guard(vars(value), inner, vars(value)[inner]) for inner in names if inner in vars(value))
    described = (
        (function, function.__code__, function.__defaults__, function.__kwdefaults__) for function in functions.values()
    )
    return Reached(tuple(described), tuple(guards))
