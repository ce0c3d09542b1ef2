"""A stack prepared to run step by step, with its state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.cells import State, States, select
from recurra.engine.cpu import support
from recurra.engine.stream.reference import ReferenceStack
from recurra.engine.stream.source import LayerSource
from recurra.engine.stream.storage import Storage
from recurra.errors import InputError, InputShapeError, InputTypeError


class StreamPlan(NamedTuple):
    """How a stream computes its steps."""

    engine: str
    """"compiled", or "unroll" for the reference."""
    why: str

    def __str__(self) -> str:
        return f"{self.engine}: {self.why}"


class Stream:
    """The layers of a stack one step at a time, with the state of each row of a batch.

    The weights are those of the layer: a parameter that changes has effect at the next step. Nothing is recorded for
    gradients, dropout is off and zoneout takes its expectation, as in evaluation. A stream is used by one thread at a
    time; several threads may each have a stream of one layer.

    Args:
        layers: the layers from the bottom to the top.
        rows: B.
        like: a tensor with the dtype and on the device of the parameters.
        state: the state to start from; the initial state if None.
        weights: "float32" for the parameters as they are; "float16" or "int8" for smaller copies of the matrices of a
            float32 layer, which are read faster. `explain` reports the loss of accuracy. A copy is made again when a
            parameter is replaced, or changed in place; `refresh` after a change through `.data`, which PyTorch does
            not count.
        engine: "unroll" for the reference; any other engine stands for the compiled step where there is one.

    Raises:
        InputError: an argument is invalid, or the layers have no compiled step for such copies.
    """

    def __init__(
        self,
        layers: Sequence[LayerSource],
        rows: int,
        like: Tensor,
        state: States | None = None,
        *,
        weights: str = "float32",
        engine: str = "auto",
    ) -> None:
        if rows < 1:
            raise InputError(f"stream: rows={rows}: expected 1 or more")
        if weights not in list(Storage):
            raise InputError(f"stream: weights={weights!r}: expected {', '.join(Storage)}")
        self._storage, self._engine = Storage(weights), engine
        self._layers, self._like = list(layers), like.detach()
        self._start(self._initial(rows) if state is None else state)

    def _start(self, states: Sequence[State]) -> None:
        """Prepares the layers for as many rows as the states have."""
        states, like, rows = list(states), self._like, len(states[0].h)
        self.rows, self.plan = rows, self._choose(states)
        if self._storage is not Storage.PLAIN and (self.plan.engine != "compiled" or like.dtype != torch.float32):
            reason = f"the layer is in {like.dtype}" if self.plan.engine == "compiled" else self.plan.why
            raise InputError(f"stream: weights={str(self._storage)!r} needs a compiled step in float32: {reason}")
        with torch.no_grad():
            if self.plan.engine == "compiled":
                from recurra.engine.stream.compiled import CompiledStack  # imports the compiler

                self._stack: Any = CompiledStack(self._layers, states, self._storage)
            else:
                self._stack = ReferenceStack(self._layers, states)
        self._y = self._like.new_empty(rows, self._layers[-1].emitted)
        self._shape = torch.Size((rows, self._layers[0].inputs))

    def _choose(self, states: Sequence[State]) -> StreamPlan:
        if self._engine == "unroll":
            return StreamPlan("unroll", "requested")
        for index, (layer, state) in enumerate(zip(self._layers, states, strict=True)):
            x = self._like.new_empty(1, len(state.h), layer.inputs)
            obstacle = support.why_not(layer.request(x, state))
            if obstacle:
                return StreamPlan("unroll", f"layer {index + 1} has no compiled step: {obstacle}")
        return StreamPlan("compiled", "all layers of a step in one call of compiled code")

    def _initial(self, rows: int) -> list[State]:
        return [layer.initial_state(rows, self._like) for layer in self._layers]

    def step(self, x: Tensor) -> Tensor:
        """Runs one step.

        Args:
            x: (B, I).

        Returns:
            y (B, P), in a buffer that the next step overwrites.

        Raises:
            InputError: x has another shape or dtype than the layer expects.
        """
        if x.shape != self._shape:
            raise InputShapeError(f"stream: x is {tuple(x.shape)}, expected {tuple(self._shape)}")
        self._stack.run(self._checked(x), self._y, 1)
        return self._y

    def run(self, x: Tensor) -> Tensor:
        """Runs several steps.

        Args:
            x: (T, B, I).

        Returns:
            y (T, B, P), a new tensor.

        Raises:
            InputError: x has another shape or dtype than the layer expects.
        """
        if x.dim() != 3 or x.shape[1:] != self._shape:
            B, I = self._shape
            raise InputShapeError(f"stream: x is {tuple(x.shape)}, expected (T, {B}, {I})")
        y = self._like.new_empty(len(x), self.rows, self._layers[-1].emitted)
        self._stack.run(self._checked(x), y, len(x))
        return y

    def _checked(self, x: Tensor) -> Tensor:
        like = self._like
        if x.dtype != like.dtype or x.device != like.device:
            raise InputTypeError(f"stream: x is {x.dtype} on {x.device}, but the layer {like.dtype} on {like.device}")
        return x if x.is_contiguous() else x.contiguous()

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of x, y and the state."""
        return self._like.dtype

    @property
    def compiled(self) -> Any:
        """The compiled stack; None if the reference computes the steps."""
        return self._stack if self.plan.engine == "compiled" else None

    @property
    def state(self) -> States:
        """The state of each layer, a copy: tensors (B, width)."""
        return tuple(state.map(Tensor.clone) for state in self._stack.states)

    @state.setter
    def state(self, states: States) -> None:
        self._set(states)

    def _set(self, states: States, rows: Tensor | None = None) -> None:
        """Replaces the state of all rows, or of some."""
        if len(states) != len(self._layers):
            raise InputError(f"stream: {len(states)} states, expected one for each of {len(self._layers)} layers")
        for index, (old, new) in enumerate(zip(self._stack.states, states, strict=True)):
            if new._fields != old._fields:
                raise InputError(f"stream: the state of layer {index + 1} has {new._fields}, expected {old._fields}")
            for name, target, tensor in zip(old._fields, old, new, strict=True):
                expected = (self.rows if rows is None else len(rows), target.shape[1])
                if tensor.shape != expected:
                    raise InputShapeError(f"stream: state {name} is {tuple(tensor.shape)}, expected {expected}")
        with torch.no_grad():
            for old, new in zip(self._stack.states, states, strict=True):
                for target, tensor in zip(old, new, strict=True):
                    if rows is None:
                        target.copy_(tensor)
                    else:
                        target.index_copy_(0, rows, tensor.to(target.dtype))

    def snapshot(self) -> States:
        """Returns the state, for `restore`."""
        return self.state

    def restore(self, states: States) -> None:
        """Sets the state of all rows to a snapshot."""
        self._set(states)

    def reset(self, rows: Sequence[int] | Tensor | None = None) -> None:
        """Sets rows to the initial state of the layer; all rows if None."""
        if rows is None:
            self._set(tuple(self._initial(self.rows)))
            return
        numbers = torch.as_tensor(rows, dtype=torch.int64, device=self._like.device).reshape(-1)
        if len(numbers):
            self._check_rows(numbers)
            self._set(tuple(self._initial(len(numbers))), numbers)

    def select(self, rows: Sequence[int] | Tensor) -> None:
        """Replaces the batch by some of its rows, in this order; a row may be taken several times, as in beam search.

        Args:
            rows: the numbers of the rows; as many as the stream has rows afterwards.
        """
        numbers = torch.as_tensor(rows, dtype=torch.int64, device=self._like.device).reshape(-1)
        self._check_rows(numbers)
        states = select(self._stack.states, numbers)
        if len(numbers) == self.rows:
            self._set(states)
        else:
            self._start(states)

    def _check_rows(self, numbers: Tensor) -> None:
        if not len(numbers) or int(numbers.min()) < 0 or int(numbers.max()) >= self.rows:
            raise InputError(f"stream: rows {numbers.tolist()}, expected numbers from 0 to {self.rows - 1}")

    def fork(self) -> Stream:
        """Returns an independent stream of the same layers that continues from the present state."""
        return Stream(self._layers, self.rows, self._like, self.state, weights=self._storage, engine=self._engine)

    def explain(self) -> StreamPlan:
        """Reports how the steps are computed, and why."""
        if self._storage is Storage.PLAIN:
            return self.plan
        error = f"{100 * self._stack.weight_error:.2f} %"
        loss = f"matrices stored as {self._storage}, with a root mean square error of {error} of their own"
        return self.plan._replace(why=f"{self.plan.why}; {loss}")

    def refresh(self) -> None:
        """Copies the matrices again; only needed with `weights` after a change through `.data`."""
        if self.compiled is not None:
            self.compiled.refresh()
