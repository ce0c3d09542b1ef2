"""A stack in compiled code: its buffers, and the addresses of its parameters.

The code reads the parameters themselves. A step notices by their addresses that a parameter was replaced or moved;
numbers that were changed in place are read anyway.
"""

from __future__ import annotations

import array
from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor

from recurra.cells import State, Weights
from recurra.engine.cpu.memory import Memory
from recurra.engine.cpu.operands import norm_operands
from recurra.engine.cpu.pool import run_parts, team
from recurra.engine.cpu.support import traced_for
from recurra.engine.stream.kernel import layer_kernel, stack_kernel
from recurra.engine.stream.layer_code import MATRICES, TABLES, TENSORS, LayerShape
from recurra.engine.stream.source import LayerSource
from recurra.engine.stream.stack_code import ARGUMENTS
from recurra.engine.stream.storage import Storage, padded, relative_error, store
from recurra.engine.trace import Kind, Operand, Outline
from recurra.errors import InputError

# Bytes of the matrices above which it pays to divide products over threads: fewer are read from the second level of
# cache of one core in less time than threads take to meet.
_WORTH_THREADS = 4 << 20
_X, _Y, _SPACE = (TENSORS.index(name) for name in ("x", "y", "space"))


class CompiledLayer:
    """One layer: its buffers, and the arguments of its compiled step.

    Args:
        source: the layer.
        state: its state (B, width), which is copied.
        storage: how the matrices are stored.
    """

    def __init__(self, source: LayerSource, state: State, storage: Storage) -> None:
        self.source, self.storage = source, storage
        like, rows = state.h, len(state.h)
        formula, variant = traced_for(source.request(like.new_empty(1, rows, source.inputs), state))
        reads_h = formula.outline.formula.reads_h
        shape = LayerShape(variant, source.inputs, source.connection, storage, reads_h)
        self.kernel = kernel = layer_kernel(formula, shape, like.dtype)
        self._arrays = list(kernel.memory.arrays)
        self.buffers = {
            name: like.new_zeros(rows, size)
            for name, (layout, size, _) in kernel.memory.arrays.items()
            if layout == "row"
        }
        for name, tensor in state._asdict().items():
            self.buffers[Operand(Kind.STATE, name)].copy_(tensor)
        self.output = (
            like.new_zeros(rows, shape.emitted) if shape.has_output else self.buffers[Operand(Kind.STATE, "h")]
        )
        self._order = torch.arange(rows)
        widest = padded(max(source.inputs, *(size for _, size, _ in kernel.memory.arrays.values())))
        # A row of numbers in 16 bits and its scale in 32, for each row of the batch, and for each thread.
        self._space_size = rows * (widest + 2) if storage is Storage.INT8 else 0
        self._space = torch.zeros(0, dtype=torch.int16)
        self._sizes: list[torch.Size] | None = None
        # Space for the arrays, the tensors, and the two tables; the compiled code reads it by its address.
        self.arguments = array.array("q", [0] * (len(self._arrays) + len(TENSORS) + len(TABLES)))
        self.arguments[-3:] = array.array("q", [self._order.data_ptr(), rows, self._space_size])
        for place, name in enumerate(self._arrays):
            if name in self.buffers:
                self.arguments[place] = self.buffers[name].data_ptr()
        self.arguments[len(self._arrays) + _Y] = self.output.data_ptr()
        self.make_space(1)
        self.errors = 0.0, 0.0
        self.take_parameters()

    def make_space(self, threads: int) -> None:
        """Provides the space of so many threads."""
        if len(self._space) < threads * self._space_size:
            self._space = torch.zeros(threads * self._space_size, dtype=torch.int16)
            self.arguments[len(self._arrays) + _SPACE] = self._space.data_ptr()

    @property
    def size(self) -> int:
        """Bytes of the matrices."""
        return sum(self._alive[name].nbytes for name in MATRICES if name in self._alive)

    @property
    def x_place(self) -> int:
        """The index of the address of x in the arguments."""
        return len(self._arrays) + _X

    @property
    def state(self) -> State:
        """The state, (B, width): the buffers themselves."""
        return State(**{name: self.buffers[Operand(Kind.STATE, name)] for name in self.kernel.cell.states})

    def refresh(self) -> None:
        """Takes the addresses of the parameters again if one was replaced, moved, or is computed at each use."""
        if self._computed:
            self.take_parameters()
            return
        held = self.source.held
        for name, tensor, address in self._watched:
            if held[name] is not tensor or tensor.data_ptr() != address:
                self.take_parameters()
                return
        # A stored copy does not change with the parameter.
        if self.storage is not Storage.PLAIN and any(
            _version(tensor) != version for (_, tensor, _), version in zip(self._watched, self._versions, strict=True)
        ):
            self.take_parameters()

    def take_parameters(self) -> None:
        """Takes the addresses of the parameters, and copies of what is not stored as it is."""
        source, cell = self.source, self.source.cell
        with torch.no_grad():
            weights = source.weights()
            highway = source.highway() if source.highway else ()
            matrix = cell.recurrent_weight(weights.hh)
        tensors = self._checked([*_tensors(weights), *highway])
        self._watched = [
            (name, tensor, tensor.data_ptr())
            for name, tensor in source.held.items()
            if tensor is not None and any(tensor is one for one in tensors)
        ]
        # A matrix that is a function of the parameter, and parameters that are functions of others, as
        # torch.nn.utils.parametrize makes them, are computed at each step.
        watched = {id(tensor) for _, tensor, _ in self._watched}
        self._computed = matrix is not weights.hh or any(id(tensor) not in watched for tensor in tensors)
        self._versions = [_version(tensor) for _, tensor, _ in self._watched]
        # Copies, such as the rates of zoneout and matrices that are not contiguous, live as long as their addresses.
        kernel = self.kernel
        operands = _operands(weights._replace(hh=matrix), highway, kernel.cell, source.zoneout, kernel.memory)
        held = {name: tensor.detach().contiguous() for name, tensor in operands.items()}
        if self.storage is not Storage.PLAIN:
            held |= self._store(held)
        self._alive = held
        self._computed |= any(not tensor.is_contiguous() for tensor in tensors)
        addresses = {name: tensor.data_ptr() for name, tensor in held.items()}
        for place, name in enumerate([*self._arrays, *TENSORS]):
            if name in addresses:
                self.arguments[place] = addresses[name]

    def _store(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Stores the matrices, and adds up their errors."""
        copies: dict[str, Tensor] = {}
        error = norm = 0.0
        for name in MATRICES:
            if name in tensors:
                stored = store(tensors[name], self.storage)
                copies[name] = stored.matrix
                if stored.scale is not None:
                    copies[f"{name}_scale"] = stored.scale
                squares = relative_error(tensors[name], stored)
                error, norm = error + squares[0], norm + squares[1]
        self.errors = error, norm
        return copies

    def _checked(self, tensors: list[Tensor]) -> list[Tensor]:
        """The tensors, if the compiled code fits them.

        Raises:
            InputError: a parameter has another size, dtype or device now.
        """
        sizes = [tensor.shape for tensor in tensors]
        self._sizes = self._sizes or sizes
        like = self.output
        if sizes != self._sizes or any(t.dtype != like.dtype or t.device != like.device for t in tensors):
            raise InputError("stream: a parameter has another size, dtype or device than before: create a new stream")
        return tensors


class CompiledStack:
    """A stack of compiled layers.

    Args:
        layers: the layers from the bottom to the top.
        states: the state of each layer, which is copied.
        storage: how the matrices are stored.
    """

    def __init__(self, layers: Sequence[LayerSource], states: Sequence[State], storage: Storage) -> None:
        self.layers = [CompiledLayer(source, state, storage) for source, state in zip(layers, states, strict=True)]
        for below, layer in zip(self.layers, self.layers[1:], strict=False):
            layer.arguments[layer.x_place] = below.output.data_ptr()
        kernel = stack_kernel()
        self._run, self._team = kernel.function("run", 1, 2), kernel.address("run_team")
        self._counter = array.array("q", [0])
        # The products of many rows take longer than the reading of their weights.
        size = sum(layer.size for layer in self.layers)
        self._pays = size >= _WORTH_THREADS or size * len(self.layers[-1].output) >= 2 * _WORTH_THREADS
        openmp = team()
        pairs = ((layer.kernel.address, layer.arguments.buffer_info()[0]) for layer in self.layers)
        self._layers = array.array("q", chain.from_iterable(pairs))
        first, output = self.layers[0], self.layers[-1].output
        values = {
            "layers": self._layers.buffer_info()[0],
            "x_place": first.arguments.buffer_info()[0] + 8 * first.x_place,
            "count": len(self.layers),
            "x_bytes": len(output) * first.source.inputs * output.element_size(),
            "y_bytes": output.numel() * output.element_size(),
            "output": output.data_ptr(),
            "counter": self._counter.buffer_info()[0],
            "thread_number": 0 if openmp is None else openmp.thread_number,
            "threads": 0 if openmp is None else openmp.threads,
        }
        self._arguments = array.array("q", [values.get(name, 0) for name in ARGUMENTS])
        self._address = self._arguments.buffer_info()[0]

    @property
    def weight_error(self) -> float:
        """The root mean square error of the stored matrices, relative to the matrices."""
        error, norm = (sum(part) for part in zip(*(layer.errors for layer in self.layers), strict=True))
        return float((error / norm) ** 0.5) if norm else 0.0

    @property
    def states(self) -> list[State]:
        """The state of each layer, (B, width): the buffers themselves."""
        return [layer.state for layer in self.layers]

    def refresh(self) -> None:
        """Takes all parameters again."""
        for layer in self.layers:
            layer.take_parameters()

    def prepare(self, x: Tensor) -> int:
        """Makes x (B, I) the input of the layers; returns the address of their functions and arguments."""
        for layer in self.layers:
            layer.refresh()
        first = self.layers[0]
        first.arguments[first.x_place] = x.data_ptr()
        return self._layers.buffer_info()[0]

    def run(self, x: Tensor, y: Tensor, steps: int) -> None:
        """Runs the steps of x (T, B, I) and writes y (T, B, P), both contiguous; T may be left out for one step."""
        for layer in self.layers:
            layer.refresh()
        arguments = self._arguments
        arguments[_STEPS], arguments[_INPUT], arguments[_OUTPUT] = steps, x.data_ptr(), y.data_ptr()
        threads = torch.get_num_threads() if self._pays else 1
        if threads == 1:
            self._run(self._address, 0, 1)
            return
        for layer in self.layers:
            layer.make_space(threads)
        self._counter[0] = 0
        run_parts(self._run, self._team, self._address, threads)


_STEPS, _INPUT, _OUTPUT = (ARGUMENTS.index(name) for name in ("steps", "x", "y"))


def _version(tensor: Tensor) -> int:
    """Changes with every change in place that PyTorch counts."""
    return 0 if tensor.is_inference() else tensor._version


def _tensors(weights: Weights) -> list[Tensor]:
    norms = weights.norms
    parts = [weights.ih, weights.hh, weights.b_ih, weights.b_hh, weights.hr, *weights.vectors]
    if norms is not None:
        parts += [norms.ih, norms.hh, *chain(*norms.states)]
    return [part for part in parts if part is not None]


def _operands(
    weights: Weights, highway: Sequence[Tensor], cell: Outline, zoneout: Sequence[Tensor | None], memory: Memory
) -> dict[str, Tensor]:
    """The parameters by operand or name, as `LayerStep` reads them."""
    tensors: dict[str, Tensor | None] = {
        "ih": weights.ih, "b_ih": weights.b_ih, "hh": weights.hh, "b_hh": weights.b_hh, "hr": weights.hr
    }  # fmt: skip
    tensors |= {Operand(Kind.VECTOR, name): v for name, v in zip(cell.vectors, weights.vectors, strict=True)}
    if weights.norms is not None:
        tensors["gain_ih"] = weights.norms.ih
        tensors |= norm_operands(weights, cell)
    for name, rate in zip(cell.states, zoneout, strict=False):
        if rate is not None:
            operand = Operand(Kind.ZONEOUT_MASK, name)
            tensors[operand] = rate.reshape(1).expand(memory.widths[operand])
    tensors |= dict(zip(("weight_highway", "bias_highway"), highway, strict=False))
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}
