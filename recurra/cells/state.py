"""Named tuples of tensors: the states of a cell (h first), and its gates.

Truncated training, streaming, beam search and export use the same type and the functions of this file. The state of a
network is a tuple with one `State` per layer and direction; the functions take that tuple.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from recurra.errors import InputError

# One class per set of names, so that type(s) is type(t) for two states of one cell and pytrees of both compare equal.
_classes: dict[tuple[str, tuple[str, ...]], Any] = {}


def _named(kind: type, names: tuple[str, ...]) -> Any:
    cls = _classes.get((kind.__name__, names))
    if cls is None:
        base = namedtuple(kind.__name__, names)  # type: ignore[misc]  # the names are data here
        cls = _classes[kind.__name__, names] = type(kind.__name__, (base, kind), {"__slots__": ()})
    return cls


class _Named(tuple[Tensor, ...]):
    """Tensors by name, the base of `State` and `Gates`. A named tuple, so that pytree functions see its tensors."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Tensor: ...
        def _asdict(self) -> dict[str, Tensor]: ...

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (_kind(self), self._fields, tuple(self))


class State(_Named):
    """The states of one cell by name, each (B, H): `State(h=h, c=c)`."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, **tensors: Tensor) -> None: ...

    def __new__(cls, **tensors: Tensor) -> State:
        """Creates a named tuple with the fields in the order of the arguments."""
        state: State = _named(State, tuple(tensors))(*tensors.values())
        return state

    def map(self, function: Callable[[Tensor], Tensor]) -> State:
        """The state with `function` applied to each tensor."""
        return State(**{name: function(tensor) for name, tensor in zip(self._fields, self, strict=True)})

    def detach(self) -> State:
        """The state without its graph."""
        return self.map(Tensor.detach)

    def select(self, rows: Tensor) -> State:
        """The state of some rows of the batch, in the order of `rows`, int64 (N,); used by beam search."""
        return self.map(lambda tensor: tensor.index_select(0, rows))

    def to(self, *args: Any, **kwargs: Any) -> State:
        """The state on another device or in another dtype, as `Tensor.to`."""
        return self.map(lambda tensor: tensor.to(*args, **kwargs))


class Gates(_Named):
    """The gates of one step by name, each (B, H)."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, **tensors: Tensor) -> None: ...

    def __new__(cls, **tensors: Tensor) -> Gates:
        """Creates a named tuple with the fields in the order of the arguments."""
        gates: Gates = _named(Gates, tuple(tensors))(*tensors.values())
        return gates


def _kind(named: _Named) -> type[_Named]:
    return State if isinstance(named, State) else Gates


def _rebuild(kind: type[_Named], names: tuple[str, ...], tensors: tuple[Tensor, ...]) -> Any:
    return _named(kind, names)(*tensors)


States = tuple[State, ...]
"""The state of a network: a `State` for each layer, and within a layer for each direction."""


def detach(states: Iterable[State]) -> States:
    """The states without their graph, as truncated backpropagation carries them to the next window."""
    return tuple(state.detach() for state in states)


def select(states: Iterable[State], rows: Tensor) -> States:
    """The states of some rows of the batch, in the order of `rows`, int64 (N,)."""
    return tuple(state.select(rows) for state in states)


def to_tensors(states: Iterable[State]) -> dict[str, Tensor]:
    """The states as one flat dictionary `{"0.h": …, "0.c": …, "1.h": …}`, ready for safetensors."""
    return {
        f"{index}.{name}": tensor.detach().contiguous()
        for index, state in enumerate(states)
        for name, tensor in zip(state._fields, state, strict=True)
    }


def from_tensors(tensors: dict[str, Tensor], names: tuple[str, ...]) -> States:
    """The inverse of `to_tensors`; `names` are the cell's states in their order, which a file may not keep."""
    layers, left_over = divmod(len(tensors), len(names))
    expected = {f"{index}.{name}" for index in range(layers) for name in names}
    if left_over or expected != set(tensors):
        raise InputError(
            f"saved state: its entries are {sorted(tensors)}, expected {', '.join(names)} for each layer 0, 1, …"
        )
    return tuple(State(**{name: tensors[f"{index}.{name}"] for name in names}) for index in range(layers))


def where(rows: Tensor, new: State, old: State) -> State:
    """`new` in the rows where `rows`, bool (B, 1), is True, `old` in the others; in the dtypes of `new`."""
    # Under autocast a new state may be narrower than the initial one, and torch.where would return the wider type.
    pairs = zip(new._fields, new, old, strict=True)
    return State(**{name: torch.where(rows, a, b.to(a.dtype)) for name, a, b in pairs})
