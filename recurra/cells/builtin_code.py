"""Whether the code of this package's own cells is as it was imported: only then is it known without looking."""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType, ModuleType
from typing import Any

from recurra.cells.reachable_code import Guard, Reached, functions_in, names_in, static_attribute

_known: dict[type, Reached] = {}


def remember(kinds: Iterable[type], tables: Iterable[dict[str, Any]]) -> None:
    """Notes the code of cells, and the tables that they look functions up in, as they are now."""
    shared = [Guard(table, name, value) for table in tables for name, value in table.items()]
    for kind in kinds:
        _known[kind] = _everything(kind, shared)


def is_untouched(kind: type) -> bool:
    """Whether a class is one of the cells remembered, and nothing that its `step` reads has been replaced."""
    reached = _known.get(kind)
    return reached is not None and reached.unchanged()


# torch.compile takes the answer as it is when it compiles, and does not look into the function. The decorator for it,
# torch.compiler.assume_constant_result, sets just this, and imports the compiler, which `import recurra` does not.
is_untouched._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _everything(kind: type, shared: list[Guard]) -> Reached:
    """The functions of this package that a step reaches, and all that they name."""
    functions: dict[int, FunctionType] = {}
    guards = [*shared, Guard(kind.__dict__, "step", static_attribute(kind, "step"))]
    todo = list(functions_in(static_attribute(kind, "step")))
    while todo:
        function = todo.pop()
        if id(function) in functions:
            continue
        functions[id(function)] = function
        names, known = list(names_in(function.__code__)), function.__globals__
        for name in names:
            if name not in known:
                continue
            value = known[name]
            guards.append(Guard(known, name, value))
            if isinstance(value, FunctionType) and value.__module__.startswith("recurra."):
                todo.append(value)
            elif isinstance(value, ModuleType):
                guards.extend(Guard(vars(value), inner, vars(value)[inner]) for inner in names if inner in vars(value))
    described = ((one, one.__code__, one.__defaults__, one.__kwdefaults__) for one in functions.values())
    return Reached(tuple(described), tuple(guards))
