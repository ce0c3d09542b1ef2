"""What a function reaches: the functions it calls and the values it names, through globals, closures and attributes."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

MISSING = object()
# Code of these changes nothing between two calls of a program that is not about changing it.
_SETTLED = {*sys.stdlib_module_names, "torch", "numpy", "recurra"} - {"__main__", "test"}
_MOST = 500


class Guard(NamedTuple):
    """A place that held a value: `holder[name]`."""

    holder: Mapping[str, Any]
    name: str
    value: Any
    """`MISSING` where there was nothing."""


class Reached(NamedTuple):
    """The functions that a function reaches, and where they were."""

    functions: tuple[tuple[FunctionType, CodeType, Any, Any], ...]
    """Each with its code and its defaults."""
    guards: tuple[Guard, ...]

    def unchanged(self) -> bool:
        """Whether each function is where it was, with the code that it had."""
        for function, code, defaults, keyword_defaults in self.functions:
            if function.__code__ is not code or function.__defaults__ is not defaults:
                return False
            if function.__kwdefaults__ is not keyword_defaults:
                return False
        # Unrolled, because it runs at every call of a layer.
        for holder, name, value in self.guards:  # noqa: SIM110
            if holder.get(name, MISSING) is not value:
                return False
        return True


def is_settled(value: Any) -> bool:
    """Whether a function, class or module belongs to Python, PyTorch, NumPy or this package."""
    module = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return isinstance(module, str) and module.partition(".")[0] in _SETTLED


def names_in(code: CodeType) -> Iterator[str]:
    """The globals and attributes that a code object names, with the functions defined inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)


def functions_in(value: Any) -> Iterator[FunctionType]:
    """The Python functions that run when a value is called or read as a property."""
    if isinstance(value, FunctionType):
        yield value
    elif isinstance(value, MethodType | staticmethod | classmethod):
        yield from functions_in(value.__func__)
    elif isinstance(value, property):
        yield from functions_in(value.fget)
    elif isinstance(value, functools.partial | functools.cached_property):
        yield from functions_in(value.func)
    elif "__wrapped__" in getattr(value, "__dict__", ()):  # functools.lru_cache and others of C's
        yield from functions_in(value.__wrapped__)
    elif value is not None and not isinstance(value, type | ModuleType) and not is_settled(type(value)):
        yield from functions_in(static_attribute(type(value), "__call__"))


def static_attribute(kind: type, name: str) -> Any:
    """What a class holds under a name, itself or by a base, without calling anything; None where nothing."""
    return next((base.__dict__[name] for base in kind.__mro__ if name in base.__dict__), None)


def reach(kind: type, instance: Mapping[str, Any], *, follow: Callable[[Any], bool]) -> Reached:
    """What the `step` of a class reaches.

    Args:
        kind: the class.
        instance: the attributes of the object.
        follow: which functions and modules to look into.
    """
    functions: dict[int, FunctionType] = {}
    guards: list[Guard] = []
    todo: list[FunctionType] = []

    def add(holder: Mapping[str, Any], name: str, value: Any) -> None:
        inner = [function for function in functions_in(value) if follow(function)]
        if inner:
            guards.append(Guard(holder, name, value))
            todo.extend(inner)

    def add_name(name: str) -> None:
        if name in instance:
            add(instance, name, instance[name])
        # Those of further bases too: super() calls them.
        first = True
        for base in kind.__mro__:
            if name in base.__dict__:
                add(base.__dict__, name, base.__dict__[name])
                first = False
            elif first and follow(base):
                guards.append(Guard(base.__dict__, name, MISSING))

    add_name("step")
    if "step" not in instance:
        guards.append(Guard(instance, "step", MISSING))
    for name, value in instance.items():
        add(instance, name, value)
    while todo and len(functions) < _MOST:
        function = todo.pop()
        if id(function) in functions:
            continue
        functions[id(function)] = function
        names = list(dict.fromkeys(names_in(function.__code__)))
        known = function.__globals__
        for name in names:
            if name in known:
                add(known, name, known[name])
            add_name(name)
        modules = [known[name] for name in names if isinstance(known.get(name), ModuleType) and follow(known[name])]
        for module in modules:
            for name in names:
                if name in vars(module):
                    add(vars(module), name, vars(module)[name])
        for cell in function.__closure__ or ():
            todo.extend(inner for inner in functions_in(_contents(cell)) if follow(inner))
    described = ((one, one.__code__, one.__defaults__, one.__kwdefaults__) for one in functions.values())
    return Reached(tuple(described), tuple(guards))


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return None
