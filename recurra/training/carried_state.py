"""Detaching, saving and restoring the carried state, a nested structure of containers and tensors.

The loop does not know the classes of states. It handles the types that every state consists of: None, tensors, tuples,
named tuples, lists, dicts and plain values.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from recurra.errors import RecurraError


def detach(nest: Any) -> Any:
    """Returns a copy detached from the graph.

    The copy takes a few microseconds. It frees the outputs of the window, of which the last state is often a view, and
    it gives a state the same memory layout whether it was computed or read from a checkpoint, because kernels are
    selected by layout.

    Args:
        nest: A nested structure with tensors of any shape.

    Returns:
        The same structure of contiguous tensors that require no gradient.

    Raises:
        RecurraError: a leaf is neither a tensor nor a plain value.
    """
    return _map(lambda tensor: tensor.detach().clone(memory_format=torch.contiguous_format), nest)


def tensors_to(device: torch.device, nest: Any) -> Any:
    """Returns the structure with every tensor moved to a device."""
    return _map(lambda tensor: tensor.to(device), nest)


def tensors(nest: Any) -> Iterator[Tensor]:
    """Iterates over the tensors of a nested structure, in order; other values are skipped."""
    if isinstance(nest, Tensor):
        yield nest
    elif isinstance(nest, tuple | list):
        for item in nest:
            yield from tensors(item)
    elif isinstance(nest, dict):
        for item in nest.values():
            yield from tensors(item)


def to_plain(nest: Any) -> Any:
    """Converts a nested structure to dicts, lists, strings and tensors, so that a checkpoint refers to no class."""
    if isinstance(nest, tuple) and hasattr(nest, "_fields"):
        values = [to_plain(item) for item in nest]
        return {"kind": "named", "name": type(nest).__name__, "fields": list(nest._fields), "values": values}
    if isinstance(nest, tuple | list):
        return {"kind": "tuple" if isinstance(nest, tuple) else "list", "values": [to_plain(item) for item in nest]}
    if isinstance(nest, dict):
        return {"kind": "dict", "fields": list(nest), "values": [to_plain(item) for item in nest.values()]}
    return _leaf(nest)


def from_plain(plain: Any) -> Any:
    """The inverse of `to_plain`; each named tuple becomes a new class with the same name and fields."""
    if not isinstance(plain, dict):
        return plain
    values = [from_plain(item) for item in plain["values"]]
    if plain["kind"] == "named":
        return namedtuple(plain["name"], plain["fields"])(*values)
    if plain["kind"] == "dict":
        return dict(zip(plain["fields"], values, strict=True))
    return tuple(values) if plain["kind"] == "tuple" else values


def _map(function: Callable[[Tensor], Tensor], nest: Any) -> Any:
    if isinstance(nest, Tensor):
        return function(nest)
    if isinstance(nest, tuple):
        items = (_map(function, item) for item in nest)
        return type(nest)(*items) if hasattr(nest, "_fields") else tuple(items)
    if isinstance(nest, list):
        return [_map(function, item) for item in nest]
    if isinstance(nest, dict):
        return {name: _map(function, item) for name, item in nest.items()}
    return _leaf(nest)


def _leaf(value: Any) -> Any:
    if value is None or isinstance(value, Tensor | bool | int | float | str):
        return value
    raise RecurraError(
        f"the carried state holds a {type(value).__name__}; expected None, numbers, strings and tensors in tuples, "
        "named tuples, lists and dicts. Return such a structure as Loss.state"
    )
