"""The code that a function reaches: the functions that it names through globals, closures and attributes."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

MISSING = object()
# Libraries whose code is assumed not to change while a program runs.
_LIBRARIES = {*sys.stdlib_module_names, "torch", "numpy", "recurra"} - {"__main__", "test"}
_MAX_FUNCTIONS = 500


class Guard(NamedTuple):
    """A value and where it was: `holder[name]`."""

    holder: Mapping[str, Any]
    name: str
    value: Any
    """`MISSING` if the name did not exist."""


class Reached(NamedTuple):
    """The functions that a function reaches, and guards for where they were."""

    functions: tuple[tuple[FunctionType, CodeType, Any, Any], ...]
    """Each with its code and its defaults."""
    guards: tuple[Guard, ...]

    def unchanged(self) -> bool:
        """Whether each function is still in its place, with the same code and defaults."""
        for function, code, defaults, keyword_defaults in self.functions:
            if function.__code__ is not code or function.__defaults__ is not defaults:
                return False
            if function.__kwdefaults__ is not keyword_defaults:
                return False
        # A plain loop instead of all(...): it runs at every call of a layer.
        for holder, name, value in self.guards:  # noqa: SIM110
            if holder.get(name, MISSING) is not value:
                return False
        return True


def is_library_code(value: Any) -> bool:
    """Whether a function, class or module belongs to Python, PyTorch, NumPy or this package."""
    module = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return isinstance(module, str) and module.partition(".")[0] in _LIBRARIES


def names_in(code: CodeType) -> Iterator[str]:
    """The globals and attributes named in a code object and in the functions defined in it."""
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
    elif "__wrapped__" in getattr(value, "__dict__", ()):  # functools.lru_cache and similar C types
        yield from functions_in(value.__wrapped__)
    elif value is not None and not isinstance(value, type | ModuleType) and not is_library_code(type(value)):
        yield from functions_in(static_attribute(type(value), "__call__"))


def static_attribute(kind: type, name: str) -> Any:
    """The attribute of a class or its bases, without calling descriptors; None if there is none."""
    return next((base.__dict__[name] for base in kind.__mro__ if name in base.__dict__), None)


class _Search:
    """Collects the functions that the `step` of a class reaches, and guards for the places where they were.

    Args:
        kind: the class.
        instance: the attributes of the object.
        follow: whether to examine a function, a class or a module.
    """

    def __init__(self, kind: type, instance: Mapping[str, Any], follow: Callable[[Any], bool]) -> None:
        self._kind, self._instance, self._follow = kind, instance, follow
        self.functions: dict[int, FunctionType] = {}
        self.guards: list[Guard] = []
        self._todo: list[FunctionType] = []

    def run(self) -> None:
        """Follows the step, and the attributes of the instance, to all functions."""
        self._add_attribute("step")
        if "step" not in self._instance:
            self.guards.append(Guard(self._instance, "step", MISSING))
        for name, value in self._instance.items():
            self._add(self._instance, name, value)
        while self._todo and len(self.functions) < _MAX_FUNCTIONS:
            function = self._todo.pop()
            if id(function) not in self.functions:
                self.functions[id(function)] = function
                self._examine(function)

    def _add(self, holder: Mapping[str, Any], name: str, value: Any) -> None:
        functions = [function for function in functions_in(value) if self._follow(function)]
        if functions:
            self.guards.append(Guard(holder, name, value))
            self._todo.extend(functions)

    def _add_attribute(self, name: str) -> None:
        """Adds what `self.name` may be: of the instance, of the class, and of all bases, because of super()."""
        if name in self._instance:
            self._add(self._instance, name, self._instance[name])
        # A class before the first definition could define the name later, and change which function is called.
        is_first = True
        for base in self._kind.__mro__:
            if name in base.__dict__:
                self._add(base.__dict__, name, base.__dict__[name])
                is_first = False
            elif is_first and self._follow(base):
                self.guards.append(Guard(base.__dict__, name, MISSING))

    def _examine(self, function: FunctionType) -> None:
        """Adds the globals, attributes, members of modules and closure that a function names."""
        names = list(dict.fromkeys(names_in(function.__code__)))
        global_names = function.__globals__
        for name in names:
            if name in global_names:
                self._add(global_names, name, global_names[name])
            # Any name in the code may be an attribute of self: bytecode does not tell of what object.
            self._add_attribute(name)
        values = [global_names.get(name) for name in names]
        for module in (value for value in values if isinstance(value, ModuleType) and self._follow(value)):
            for name in names:
                if name in vars(module):
                    self._add(vars(module), name, vars(module)[name])
        for cell in function.__closure__ or ():
            self._todo.extend(inner for inner in functions_in(_contents(cell)) if self._follow(inner))


def reach(kind: type, instance: Mapping[str, Any], *, follow: Callable[[Any], bool]) -> Reached:
    """The functions that the `step` of a class reaches.

    Args:
        kind: the class.
        instance: the attributes of the object.
        follow: whether to examine a function, a class or a module.
    """
    search = _Search(kind, instance, follow)
    search.run()
    described = ((one, one.__code__, one.__defaults__, one.__kwdefaults__) for one in search.functions.values())
    return Reached(tuple(described), tuple(search.guards))


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return None
