"""Snapshots of the values that a step may write to, to detect whether it does."""

from __future__ import annotations

import collections
import functools
import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.cells.reachable_code import Reached, is_library_code, names_in

# Limit of the values described, so that a step that refers to a whole program is examined in some milliseconds.
_MAX_VALUES = 5000
_EMPTY: tuple[Iterable[Any], ...] = ([], (), {}, set(), "", range(0), {}.items())
_ITERATORS = tuple(type(iter(one)) for one in _EMPTY)


def contents(cell: Cell, reached: Reached) -> dict[str, Any]:
    """Describes what a step can write to, by name: the cell, its classes, globals and closures of its functions."""
    walk = _Walk()
    parts = {f"self.{name}": walk.describe(value) for name, value in vars(cell).items() if name != "_formula"}
    for kind in type(cell).__mro__:
        if not is_library_code(kind):
            members = {name: value for name, value in vars(kind).items() if not name.startswith("__")}
            parts |= {f"{kind.__name__}.{name}": walk.describe(value) for name, value in members.items()}
    for function, code, _, _ in reached.functions:
        names = set(names_in(code))
        global_names = function.__globals__
        for name in names & global_names.keys():
            value = global_names[name]
            if isinstance(value, ModuleType) and not is_library_code(value):
                inner = {one: vars(value)[one] for one in names & vars(value).keys()}
                parts |= {f"{name}.{one}": walk.describe(inside) for one, inside in inner.items()}
            else:
                parts[name] = walk.describe(value)
        parts |= {f"{function.__name__}: {name}": walk.describe(value) for name, value in _function_state(function)}
    return parts


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """The first name whose content differs; None if all are equal."""
    names = [*after, *(name for name in before if name not in after)]
    return next((name for name in names if before.get(name, names) != after.get(name, names)), None)


def _function_state(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """The closure, the defaults and the attributes of a function."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not set yet
            yield name, None
    yield "defaults", (function.__defaults__, function.__kwdefaults__)
    yield "attributes", vars(function)


class _Walk:
    """Describes values and their parts, each once."""

    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}

    def describe(self, value: Any) -> Any:
        """A description that compares equal as long as the value is unchanged."""
        if value is None or isinstance(value, int | str | bytes):
            return type(value), value
        if isinstance(value, float | complex | torch.dtype | torch.device):
            return type(value), repr(value)
        # A value met before, such as one that contains itself, is described by its identity.
        if id(value) in self._seen or len(self._seen) > _MAX_VALUES:
            return id(value)
        # Keeps a reference, so that no other object can get the same id during the walk.
        self._seen[id(value)] = value
        if isinstance(value, tuple):
            return [
                type(value),
                *map(self.describe, value),
            ]  # by content: some attributes return a new tuple at each access
        return id(value), self._content(value)

    def _content(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return () if value.is_inference() else value._version
        if isinstance(value, dict):
            return [(self.describe(key), self.describe(item)) for key, item in list(value.items())]
        if isinstance(value, list | set | frozenset | collections.deque):
            return [self.describe(item) for item in list(value)]
        if isinstance(value, random.Random):
            return value.getstate()
        if isinstance(value, torch.Generator):
            return value.get_state().tolist()
        if isinstance(value, _ITERATORS):
            return repr(value.__reduce__())
        if isinstance(value, functools.partial):
            return [self.describe(part) for part in (value.func, value.args, value.keywords)]
        if isinstance(value, MethodType):
            return self.describe(value.__self__)
        if isinstance(value, FunctionType):
            return () if is_library_code(value) else [self.describe(one) for _, one in _function_state(value)]
        if isinstance(value, type):
            members = {} if is_library_code(value) else vars(value)
            return [(name, self.describe(one)) for name, one in members.items() if not name.startswith("__")]
        if isinstance(value, ModuleType):
            return ()
        return self._object(value)

    def _object(self, value: Any) -> Any:
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(value, numpy.ndarray):
            return value.tobytes() if value.dtype != object else ()
        if numpy is not None and isinstance(value, numpy.random.Generator):
            return repr(value.bit_generator.state)
        if numpy is not None and isinstance(value, numpy.random.RandomState):
            return repr(value.get_state())
        parts = [(name, self.describe(one)) for name, one in getattr(value, "__dict__", {}).items()]
        for kind in type(value).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                member = kind.__dict__.get(name)
                if hasattr(type(member), "__get__") and not name.startswith("__"):
                    parts.append((name, self.describe(getattr(value, name, None))))
        frame = getattr(value, "gi_frame", None)  # a generator
        if frame is not None:
            parts.append(("line", (frame.f_lasti, self.describe(dict(frame.f_locals)))))
        # The repr of itertools.count and similar C types shows their position; the default repr only shows an address.
        return parts or (repr(value) if type(value).__module__ in ("itertools", "decimal", "fractions") else ())
