"""What a step computes now: the operators that it calls, with every number in them, as a key.

The step is run on two rows while a `TorchFunctionMode` writes down each call. Whatever changes the computation, at any
depth (a class attribute, a helper, a configuration object, replaced code), shows in that list; so it is taken anew at
each call of a layer. Calls that are the same as in the run before return its tensors and compute nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from recurra.cells import Cell, Gates, State
from recurra.cells.cell import Formula, run_watched


@dataclass(frozen=True)
class Outline:
    """The names and the use of a cell at one moment, which stay as they are when the cell changes."""

    gates: tuple[str, ...]
    recurrent: tuple[str, ...]
    states: tuple[str, ...]
    vectors: tuple[str, ...]
    formula: Formula

    @property
    def second_phase(self) -> tuple[str, ...]:
        """The gates whose recurrent product the formula takes of something it computed."""
        return self.formula.second_phase


class Signature:
    """What a step computes, to compare by.

    Attributes:
        outline: the names of the cell.
        obstacle: why the list of calls does not say all that the step computes; None where it does.
        reads_values: whether the step turns tensors into Python's numbers.
    """

    def __init__(self, outline: Outline, calls: tuple[Any, ...], obstacle: str | None, *, reads_values: bool) -> None:
        self.outline, self.obstacle, self.reads_values = outline, obstacle, reads_values
        self._key = (outline, calls)
        self._hash = hash(self._key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signature) and self._hash == other._hash and self._key == other._key

    def equals_but_for_gradients(self, other: Signature) -> bool:
        """Whether the two differ only in the settings that `torch.no_grad` inside a step restores."""
        return self._key[0] == other._key[0] and self._ungraded() == other._ungraded()

    def _ungraded(self) -> list[Any]:
        return [call for call in self._key[1] if call[:1] != (torch._C._set_grad_enabled,)]


class _Call(NamedTuple):
    """A call and what it returned."""

    function: Any
    arguments: tuple[Any, ...]
    """As `_write` writes them."""
    further: tuple[Any, ...]
    """The keyword arguments by name, and the function's code where it has one."""
    types: Any
    """The number types of the result."""
    result: Any
    name: str
    """Of the tensors in the result; "" where there are none."""

    @property
    def entry(self) -> tuple[Any, ...]:
        """What is compared."""
        return self[:4]


class Memory(NamedTuple):
    """An earlier run on the same tensors."""

    dtype: torch.dtype
    """PyTorch's default."""
    calls: tuple[_Call, ...]
    names: dict[int, str]
    """Of all tensors, by id."""
    returned: tuple[str, ...]
    signature: Signature


_OWN = "its step holds a tensor of its own: use a Python number, or a per-unit vector named in `vectors`"
_MOST = 10_000
_PLAIN = (int, bool, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format, type(Ellipsis))
# What these return shows where it is used.
_SILENT = {"size", "dim", "numel", "nelement", "element_size", "__len__", "is_floating_point", "is_complex", "dtype"}
_SILENT |= {"shape", "ndim", "device", "layout", "itemsize", "nbytes", "is_cuda", "is_cpu"}
_VALUES = {"item", "__bool__", "__float__", "__int__", "__index__", "tolist", "numpy", "__array__", "__contains__"}
_VALUES |= {"equal", "allclose", "is_nonzero", "__complex__", "__format__", "__repr__"}
# These are not the same in the compiled loops, where tensors lie elsewhere and have no graph.
_PLACES = {"requires_grad", "grad_fn", "is_leaf", "grad", "_version", "retains_grad", "output_nr", "stride", "data_ptr"}
_PLACES |= {"is_contiguous", "storage_offset", "untyped_storage", "storage", "_base", "_is_view", "is_inference"}
_PLACES |= {"register_hook", "requires_grad_", "retain_grad", "__hash__", "is_pinned", "is_shared"}


class Recorder(TorchFunctionMode):
    """Writes down the calls of one run.

    Args:
        names: of the tensors that go in, by id.
        memory: an earlier run on the same tensors.
    """

    def __init__(self, names: dict[int, str], memory: Memory | None) -> None:
        super().__init__()
        self._given = names
        default = torch.get_default_dtype()
        same = memory is not None and memory.dtype == default
        self.names, self._again = (memory.names, memory.calls) if memory is not None and same else (dict(names), ())
        self._follows = same
        self._number = 0
        self._calls: list[_Call] = []
        self.obstacle: str | None = None
        self.reads_values = self.writes = False
        self._gradients = torch.is_grad_enabled()
        self._inside = self._outside = False
        # Other modes around the layer are not asked about these few numbers.
        self._alone = torch._C._len_torch_function_stack() == 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Writes a call down, and makes it unless the run before has made it."""
        # The usual case, in as few steps as can be: the call that the run before made in this place.
        if self._follows and self._number < len(self._again):
            call = self._again[self._number]
            same = func is call.function and call.name and not (kwargs or call.further)
            if same and len(args) == len(call.arguments) and torch.is_grad_enabled() is self._gradients:
                for argument, written in zip(args, call.arguments, strict=True):
                    if (self.names.get(id(argument)) or self._write(argument)) != written:
                        break
                else:
                    self._number += 1
                    return call.result
        return self._call(func, args, kwargs or {})

    def _call(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Any other call."""
        kind = getattr(func, "__name__", "")
        if kind == "__get__":
            kind = getattr(func.__self__, "__name__", kind)
        if kind in _SILENT:
            return self._made(func, args, kwargs)
        self._inside = self._outside = False
        arguments = tuple(map(self._write, args))
        further = tuple((name, self._write(value)) for name, value in kwargs.items())
        code = getattr(func, "__code__", None)
        further = further if code is None else (*further, code)
        if torch.is_grad_enabled() is not self._gradients:
            self._refuse("its step calls a torch.autograd.Function, which the compiled engine cannot look into")
        if kind in _PLACES:
            self._refuse(f"its step asks for {kind!r} of a tensor, which is another one in compiled code")
        call = None if self._outside else self._remembered(func, arguments, further)
        if call is not None and call.name:
            self._number += 1
            return call.result
        result = self._made(func, args, kwargs)
        self._note(kind, _Call(func, arguments, further, None, result, ""), args, remembered=call is not None)
        return result

    def stand_in(self, kind: str, name: str, value: Tensor, like: Tensor) -> Tensor:
        """A new tensor for what a matrix product or a normalisation makes of a value."""
        self._inside = self._outside = False
        arguments = name, self._write(value)
        if self._outside:
            self._refuse(_OWN)
        call = self._remembered(kind, arguments, ())
        if call is None:
            with torch._C.DisableTorchFunction():
                result = torch.full_like(like, 0.3)
            call = _Call(kind, arguments, (), like.dtype, result, f"%{self._number}")
            self._append(call)
        else:
            self._number += 1
        return call.result  # type: ignore[no-any-return]

    def name_of(self, value: Any) -> str:
        """The name of what the step returns."""
        if id(value) not in self.names:
            self._refuse(_OWN if isinstance(value, Tensor) else "its step returns something that is not a tensor")
        return self.names.get(id(value), "")

    def finish(self, outline: Outline, returned: tuple[str, ...], memory: Memory | None) -> tuple[Signature, Memory]:
        """The signature of the run, and what the next one may use."""
        whole = self._follows and self._number == len(self._again)
        if memory is not None and whole and memory.returned == returned and memory.signature.outline == outline:
            return memory.signature, memory
        self._diverge()
        entries = (*(call.entry for call in self._calls), returned)
        signature = Signature(outline, entries, self.obstacle, reads_values=self.reads_values)
        return signature, Memory(torch.get_default_dtype(), tuple(self._calls), self.names, returned, signature)

    def _remembered(self, func: Any, arguments: tuple[Any, ...], further: tuple[Any, ...]) -> _Call | None:
        """The same call of the run before, where all calls before it were the same too."""
        if self._follows and self._number < len(self._again):
            call = self._again[self._number]
            if call[:3] == (func, arguments, further):
                return call
        self._diverge()
        return None

    def _diverge(self) -> None:
        """From here on the run before is of no use."""
        if not self._follows:
            return
        self._follows, self._calls, self.names = False, [], dict(self._given)
        # Its other tensors are no longer known: one that the step has kept for itself comes from outside.
        calls, self._number = self._again[: self._number], 0
        for call in calls:
            self._append(call)

    def _append(self, call: _Call) -> None:
        """A call that the run before has not made."""
        self._calls.append(call)
        self._number += 1
        if isinstance(call.result, Tensor):
            self.names.setdefault(id(call.result), call.name)
        elif call.name:
            for place, one in enumerate(call.result):
                self.names.setdefault(id(one), f"{call.name}.{place}")

    def _made(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._alone:
            return func(*args, **kwargs)
        with torch._C.DisableTorchFunction():
            return func(*args, **kwargs)

    def _note(self, kind: str, call: _Call, args: tuple[Any, ...], *, remembered: bool) -> None:
        """Appends a call that was made just now."""
        if call.function is torch._C._set_grad_enabled:
            self._gradients = bool(args[0])
        self.reads_values |= kind in _VALUES
        self.writes |= (kind.endswith("_") and not kind.endswith("__")) or kind in ("__setitem__", "data")
        tensors = call.result if isinstance(call.result, tuple | list) else (call.result,)
        if not tensors or not all(isinstance(one, Tensor) for one in tensors):
            if remembered:
                self._number += 1
            elif self._inside or not self._outside:
                self._append(call)
            return
        if self._outside:
            # What is computed from the outside alone shows where it enters the formula as a number.
            if self._inside:
                self._refuse(_OWN)
            return
        if any(type(one) is not Tensor for one in tensors):
            self._refuse(f"its step makes a {type(tensors[0]).__name__}, and compiled code has plain tensors")
        self._append(call._replace(types=tuple(one.dtype for one in tensors), name=f"%{self._number}"))

    def _write(self, value: Any) -> Any:
        """A value as something that is equal for values that compute the same, and for no others."""
        name = self.names.get(id(value))
        if name is not None:
            self._inside = True
            return name
        kind = type(value)
        if isinstance(value, float | complex):
            return kind, repr(value)  # apart: 0.0 from -0.0; equal: NaN and NaN
        if isinstance(value, _PLAIN):
            return kind, value
        if isinstance(value, Tensor):
            self._outside = True
            return "outside"
        if isinstance(value, tuple | list):
            return kind, *map(self._write, value)
        if isinstance(value, dict):
            return kind, *((self._write(key), self._write(item)) for key, item in value.items())
        if isinstance(value, slice):
            return kind, self._write(value.start), self._write(value.stop), self._write(value.step)
        if isinstance(value, numpy.generic):
            return kind, repr(value.item())
        self._refuse(f"its step calls an operator with a {kind.__name__}, whose content is not known to the compiler")
        return kind, id(value)

    def _refuse(self, reason: str) -> None:
        self.obstacle = self.obstacle or reason


class Stage:
    """The tensors that a step is run on, and what its last run on them made.

    Args:
        cell: for the names of its parts.
        hidden: units, as in the layer, because a step may ask for their number.
        dtype: as in the layer.
    """

    def __init__(self, cell: Cell, hidden: int, dtype: torch.dtype) -> None:
        rows = 2 if hidden != 2 else 3
        with torch._C.DisableTorchFunction(), torch.inference_mode(False), torch.no_grad():
            made = iter(torch.full((rows, hidden), 0.1 + 0.01 * k, dtype=dtype, device="cpu") for k in range(_MOST))
            self.x = Gates(**{name: next(made) for name in cell.gates})
            self.u = {name: next(made) for name in cell.recurrent}
            self.s = State(**{name: next(made) for name in cell.states})
            self.vectors = {name: next(made)[0].clone() for name in cell.vectors}
        groups = {"x": self.x._asdict(), "u": self.u, "s": self.s._asdict(), "p": self.vectors}
        self.names = {id(one): f"{group}.{name}" for group, parts in groups.items() for name, one in parts.items()}
        self.parts = cell.gates, cell.recurrent, cell.states, cell.vectors
        self.memory: Memory | None = None
        self.spoiled = False
        """Whether the tensors may hold other numbers now, so that the next run needs others."""

    def run(self, cell: Cell) -> Signature:
        """What the step computes now.

        Raises:
            InputError: it reads a part that the cell does not name, or returns others.
        """
        recorder, like = Recorder(self.names, self.memory), self.s[0]
        with recorder:
            formula, (new, shown) = run_watched(
                cell, self.x, self.u, self.s, self.vectors,
                lambda gate, v: recorder.stand_in("product", gate, v, like),
                lambda state, value: recorder.stand_in("norm", state, value, like),
            )  # fmt: skip
        returned = tuple(map(recorder.name_of, (*new, *shown)))
        signature, memory = recorder.finish(Outline(*self.parts, formula), returned, self.memory)
        self.spoiled = recorder.writes or recorder.obstacle is not None
        self.memory = None if self.spoiled else memory
        return signature
