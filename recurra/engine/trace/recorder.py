"""Records the operators that one run of a step calls.

A run that repeats the calls of the run before returns the tensors of that run and computes nothing: the check at each
call of a layer costs some microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from recurra.engine.trace.signature import Outline, Signature


class _Call(NamedTuple):
    """A call and its result."""

    function: Any
    arguments: tuple[Any, ...]
    """As `_key_of` writes them."""
    further: tuple[Any, ...]
    """The keyword arguments by name, and the code of a Python function."""
    types: Any
    """The dtypes of the result."""
    result: Any
    name: str
    """The name of the result, if it consists of tensors; else ""."""

    @property
    def entry(self) -> tuple[Any, ...]:
        """The part of the call that signatures compare."""
        return self[:4]


class PreviousRun(NamedTuple):
    """An earlier run on the same tensors."""

    dtype: torch.dtype
    """PyTorch's default dtype in that run."""
    calls: tuple[_Call, ...]
    names: dict[int, str]
    """The names of all tensors, by id."""
    returned: tuple[str, ...]
    signature: Signature


_FOREIGN_TENSOR = (
    "its step uses a tensor that is not an argument: use a Python number, or a per-unit vector named in `vectors`"
)
_PLAIN_TYPES = (
    int,
    bool,
    str,
    type(None),
    torch.dtype,
    torch.device,
    torch.layout,
    torch.memory_format,
    type(Ellipsis),
)
# Not recorded: their results show in the calls that use them.
_SHAPE_QUERIES = {
    "size",
    "dim",
    "numel",
    "nelement",
    "element_size",
    "__len__",
    "is_floating_point",
    "is_complex",
    "dtype",
}
_SHAPE_QUERIES |= {"shape", "ndim", "device", "layout", "itemsize", "nbytes", "is_cuda", "is_cpu"}
_VALUE_READS = {"item", "__bool__", "__float__", "__int__", "__index__", "tolist", "numpy", "__array__", "__contains__"}
_VALUE_READS |= {"equal", "allclose", "is_nonzero", "__complex__", "__format__", "__repr__"}
# Their results differ in the compiled loops, where tensors have other addresses and no graph.
_STORAGE_QUERIES = {
    "requires_grad",
    "grad_fn",
    "is_leaf",
    "grad",
    "_version",
    "retains_grad",
    "output_nr",
    "stride",
    "data_ptr",
}
_STORAGE_QUERIES |= {
    "is_contiguous",
    "storage_offset",
    "untyped_storage",
    "storage",
    "_base",
    "_is_view",
    "is_inference",
}
_STORAGE_QUERIES |= {"register_hook", "requires_grad_", "retain_grad", "__hash__", "is_pinned", "is_shared"}


class Recorder(TorchFunctionMode):
    """Records the calls of one run.

    Args:
        names: the names of the input tensors, by id.
        previous: an earlier run on the same tensors.
    """

    def __init__(self, names: dict[int, str], previous: PreviousRun | None) -> None:
        super().__init__()
        self._input_names = names
        default = torch.get_default_dtype()
        same = previous is not None and previous.dtype == default
        self.names, self._previous_calls = (
            (previous.names, previous.calls) if previous is not None and same else (dict(names), ())
        )
        self._matches_previous = same
        self._position = 0
        self._calls: list[_Call] = []
        self.obstacle: str | None = None
        self.reads_values = self.writes = False
        self._grad_enabled = torch.is_grad_enabled()
        self._has_step_tensor = self._has_foreign_tensor = False
        # If the caller has other modes active, they must not see the calls of this run.
        self._is_only_mode = torch._C._len_torch_function_stack() == 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Records a call, and executes it unless the previous run did."""
        # The common case, in as few operations as possible: the call is the one of the previous run at this position.
        if self._matches_previous and self._position < len(self._previous_calls):
            call = self._previous_calls[self._position]
            same = func is call.function and call.name and not (kwargs or call.further)
            if same and len(args) == len(call.arguments) and torch.is_grad_enabled() is self._grad_enabled:
                for argument, key in zip(args, call.arguments, strict=True):
                    if (self.names.get(id(argument)) or self._key_of(argument)) != key:
                        break
                else:
                    self._position += 1
                    return call.result
        return self._call(func, args, kwargs or {})

    def _call(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Handles any other call."""
        operator = getattr(func, "__name__", "")
        if operator == "__get__":
            operator = getattr(func.__self__, "__name__", operator)
        if operator in _SHAPE_QUERIES:
            return self._execute(func, args, kwargs)
        self._has_step_tensor = self._has_foreign_tensor = False
        arguments = tuple(map(self._key_of, args))
        further = tuple((name, self._key_of(value)) for name, value in kwargs.items())
        code = getattr(func, "__code__", None)
        further = further if code is None else (*further, code)
        # A torch.autograd.Function runs its forward with gradients disabled, and its backward is not recorded.
        if torch.is_grad_enabled() is not self._grad_enabled:
            self._set_obstacle("its step calls a torch.autograd.Function, which the compiled engine cannot look into")
        if operator in _STORAGE_QUERIES:
            self._set_obstacle(f"its step asks for {operator!r} of a tensor, which is another one in compiled code")
        call = None if self._has_foreign_tensor else self._matching_call(func, arguments, further)
        if call is not None and call.name:
            self._position += 1
            return call.result
        result = self._execute(func, args, kwargs)
        self._record_call(
            operator, _Call(func, arguments, further, None, result, ""), args, is_repeated=call is not None
        )
        return result

    def placeholder(self, kind: str, name: str, value: Tensor, like: Tensor) -> Tensor:
        """Returns a new tensor in place of a matrix product or a normalisation of a value."""
        self._has_step_tensor = self._has_foreign_tensor = False
        arguments = name, self._key_of(value)
        if self._has_foreign_tensor:
            self._set_obstacle(_FOREIGN_TENSOR)
        call = self._matching_call(kind, arguments, ())
        if call is None:
            with torch._C.DisableTorchFunction():
                result = torch.full_like(like, 0.3)
            call = _Call(kind, arguments, (), like.dtype, result, f"%{self._position}")
            self._append(call)
        else:
            self._position += 1
        return call.result  # type: ignore[no-any-return]

    def name_of(self, value: Any) -> str:
        """The name of a tensor that the step returns."""
        if id(value) not in self.names:
            self._set_obstacle(
                _FOREIGN_TENSOR if isinstance(value, Tensor) else "its step returns something that is not a tensor"
            )
        return self.names.get(id(value), "")

    def finish(
        self, outline: Outline, returned: tuple[str, ...], previous: PreviousRun | None
    ) -> tuple[Signature, PreviousRun]:
        """The signature of the run, and the record for the next run."""
        whole = self._matches_previous and self._position == len(self._previous_calls)
        if previous is not None and whole and previous.returned == returned and previous.signature.outline == outline:
            return previous.signature, previous
        self._leave_previous()
        entries = (*(call.entry for call in self._calls), returned)
        signature = Signature(outline, entries, self.obstacle, reads_values=self.reads_values)
        return signature, PreviousRun(torch.get_default_dtype(), tuple(self._calls), self.names, returned, signature)

    def _matching_call(self, func: Any, arguments: tuple[Any, ...], further: tuple[Any, ...]) -> _Call | None:
        """The call of the previous run at this position, if it and all calls before it are equal."""
        if self._matches_previous and self._position < len(self._previous_calls):
            call = self._previous_calls[self._position]
            if call[:3] == (func, arguments, further):
                return call
        self._leave_previous()
        return None

    def _leave_previous(self) -> None:
        """Stops following the previous run, from the first different call on."""
        if not self._matches_previous:
            return
        self._matches_previous, self._calls, self.names = False, [], dict(self._input_names)
        # Later tensors of the previous run are unknown from now on: a step that kept one reads a foreign tensor.
        calls, self._position = self._previous_calls[: self._position], 0
        for call in calls:
            self._append(call)

    def _append(self, call: _Call) -> None:
        """Appends a call that the previous run did not make."""
        self._calls.append(call)
        self._position += 1
        if isinstance(call.result, Tensor):
            self.names.setdefault(id(call.result), call.name)
        elif call.name:
            for index, tensor in enumerate(call.result):
                self.names.setdefault(id(tensor), f"{call.name}.{index}")

    def _execute(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._is_only_mode:
            return func(*args, **kwargs)
        with torch._C.DisableTorchFunction():
            return func(*args, **kwargs)

    def _record_call(self, kind: str, call: _Call, args: tuple[Any, ...], *, is_repeated: bool) -> None:
        """Records a call that was just executed."""
        if call.function is torch._C._set_grad_enabled:
            self._grad_enabled = bool(args[0])
        self.reads_values |= kind in _VALUE_READS
        # PyTorch's in-place operators end with one underscore.
        self.writes |= (kind.endswith("_") and not kind.endswith("__")) or kind in ("__setitem__", "data")
        tensors = call.result if isinstance(call.result, tuple | list) else (call.result,)
        if not tensors or not all(isinstance(tensor, Tensor) for tensor in tensors):
            if is_repeated:
                self._position += 1
            elif self._has_step_tensor or not self._has_foreign_tensor:
                self._append(call)
            return
        if self._has_foreign_tensor:
            # A result of foreign tensors alone shows in a later call, if it enters the formula as a number.
            if self._has_step_tensor:
                self._set_obstacle(_FOREIGN_TENSOR)
            return
        if any(type(tensor) is not Tensor for tensor in tensors):
            self._set_obstacle(f"its step makes a {type(tensors[0]).__name__}, and compiled code has plain tensors")
        self._append(call._replace(types=tuple(tensor.dtype for tensor in tensors), name=f"%{self._position}"))

    def _key_of(self, value: Any) -> Any:
        """A key of an argument, equal exactly for arguments with which a call computes the same."""
        name = self.names.get(id(value))
        if name is not None:
            self._has_step_tensor = True
            return name
        kind = type(value)
        if isinstance(value, float | complex):
            return kind, repr(value)  # the repr tells 0.0 from -0.0, and NaN equals NaN
        if isinstance(value, _PLAIN_TYPES):
            return kind, value
        if isinstance(value, Tensor):
            self._has_foreign_tensor = True
            return "foreign"
        if isinstance(value, tuple | list):
            return kind, *map(self._key_of, value)
        if isinstance(value, dict):
            return kind, *((self._key_of(key), self._key_of(item)) for key, item in value.items())
        if isinstance(value, slice):
            return kind, self._key_of(value.start), self._key_of(value.stop), self._key_of(value.step)
        if isinstance(value, numpy.generic):
            return kind, repr(value.item())
        self._set_obstacle(
            f"its step calls an operator with a {kind.__name__}, whose content is not known to the compiler"
        )
        return kind, id(value)

    def _set_obstacle(self, reason: str) -> None:
        self.obstacle = self.obstacle or reason
