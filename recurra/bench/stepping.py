"""The implementations of a layer that runs one step at a time, as functions without arguments that can be timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra.bench.implementations import make_batch, make_layer, torch_equivalent
from recurra.bench.onnx_step import find_operator, onnx_step, onnxruntime_is_installed
from recurra.bench.reading import WeightRead
from recurra.bench.subjects import Shape
from recurra.cells import GRU, LSTM, Cell
from recurra.engine.stream import Stream
from recurra.errors import RecurraError
from recurra.layers import Recurrent

SMALLER = ("float16", "int8")
"""Streams with smaller copies of the matrices, whose outputs deviate."""
# The deviation of an output from the reference that is allowed, relative to the largest output if that is above 1.
_TOLERANCE = 1e-5


class Steps(NamedTuple):
    """The implementations of one layer, by name, `recurra` first; all have the same weights."""

    engine: str
    """How recurra computes its steps: "compiled", or "unroll" for the reference."""
    step: dict[str, Callable[[], Any]]
    """Calls of one step, which go on from the state of the last call."""
    run: dict[str, Callable[[], Any]]
    """Calls of T steps."""
    deviations: dict[str, float]
    """The largest deviation of y, relative to the largest |y|, of each of `SMALLER`."""


class _Stepwise:
    """An implementation that is called once per step.

    Args:
        call: the step x_t, state → y_t, state; a state of None is the initial state.
        inputs: x_t of each step, in the form that `call` expects.
    """

    def __init__(self, call: Callable[[Any, Any], tuple[Any, Any]], inputs: Sequence[Any]) -> None:
        self._call, self._inputs, self._state = call, inputs, None

    def step(self) -> Any:
        y, self._state = self._call(self._inputs[0], self._state)
        return y

    def run(self) -> list[Any]:
        outputs = []
        for x in self._inputs:
            y, self._state = self._call(x, self._state)
            outputs.append(y)
        return outputs


@torch.inference_mode()
def gather_steps(cell: Cell, shape: Shape) -> Steps:
    """All implementations of a cell, after a check that they compute the same; to be called in inference mode.

    They are recurra's stream, with float16 and int8 weights if it is compiled, torch.nn's layer and its cell and, for
    LSTM and GRU, onnxruntime; of a cell that torch.nn does not have, the eager loop. `sequence`, only in `run`, is
    torch.nn's layer called once for all steps. The reads of the weights are `read 1` and, on several threads, `read N`.
    All may use torch's number of threads.

    Raises:
        RecurraError: an implementation computes something else.
    """
    # Layers are made outside of inference mode: their parameters are ordinary ones.
    with torch.inference_mode(False):
        x, layer = make_batch(shape).x, make_layer(cell, shape, "unroll")
        streams = _streams(make_layer(cell, shape, "auto"), shape.B)  # the same weights
        namesake = torch_equivalent(layer)
    peers = _peers(layer, namesake, x)
    step: dict[str, Callable[[], Any]] = {name: partial(stream.step, x[0]) for name, stream in streams.items()}
    run: dict[str, Callable[[], Any]] = {name: partial(stream.run, x) for name, stream in streams.items()}
    step |= {name: peer.step for name, peer in peers.items()}
    run |= {name: peer.run for name, peer in peers.items()}
    if namesake is not None:
        run["sequence"] = lambda: namesake(x)[0]
    # Before the first step, so that all begin with the initial state.
    deviations = _deviations({name: _output(call()) for name, call in run.items()}, layer(x)[0])
    weights = WeightRead(list(layer.parameters()))
    for threads in sorted({1, torch.get_num_threads()}):
        step[f"read {threads}"], run[f"read {threads}"] = weights.call(1, threads), weights.call(shape.T, threads)
    return Steps(streams["recurra"].plan.engine, step, run, deviations)


def _streams(layer: Recurrent, rows: int) -> dict[str, Stream]:
    streams = {"recurra": layer.stream(rows)}
    if streams["recurra"].plan.engine == "compiled":
        streams |= {weights: layer.stream(rows, weights=weights) for weights in SMALLER}
    return streams


def _peers(layer: Recurrent, namesake: nn.Module | None, x: Tensor) -> dict[str, _Stepwise]:
    rows = list(x)  # (B, I) each
    sequences = [x_t[None] for x_t in rows]  # (1, B, I) each
    if namesake is None:
        return {"eager": _Stepwise(layer, sequences)}
    peers = {"torch.nn": _Stepwise(namesake, sequences), "cell": _Stepwise(_cell_step(layer), rows)}
    operator = find_operator(layer.cell)
    if operator is not None and onnxruntime_is_installed():
        step = onnx_step(operator, layer.weights("_l0"), torch.get_num_threads())
        peers["onnxruntime"] = _Stepwise(step, [x_t.numpy() for x_t in sequences])
    return peers


def _cell_step(layer: Recurrent) -> Callable[[Tensor, Any], tuple[Tensor, Any]]:
    """The step of torch.nn's cell with the weights of the layer."""
    assert isinstance(layer.hidden_size, int)
    sizes = layer.input_size, layer.hidden_size
    with torch.inference_mode(False):
        if isinstance(layer.cell, LSTM):
            module: nn.Module = nn.LSTMCell(*sizes)
        elif isinstance(layer.cell, GRU):
            module = nn.GRUCell(*sizes)
        else:
            module = nn.RNNCell(*sizes, nonlinearity=layer.cell.activation)  # type: ignore[attr-defined]
        module.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})

    def step(x: Tensor, state: Any) -> tuple[Tensor, Any]:
        new = module(x, state)
        return (new[0] if isinstance(new, tuple) else new), new

    return step


def _output(y: Any) -> Tensor:
    """The output of a run as (T, B, H): a tensor, or a list of (B, H) or (1, B, H)."""
    if isinstance(y, Tensor):
        return y
    steps = [torch.as_tensor(y_t) for y_t in y]
    return torch.stack([y_t[0] if y_t.dim() == 3 else y_t for y_t in steps])


def _deviations(outputs: dict[str, Tensor], expected: Tensor) -> dict[str, float]:
    """The largest deviation of each output of `SMALLER`, relative to the largest expected one.

    Raises:
        RecurraError: an output that should be exact is not.
    """
    largest = float(expected.abs().max())
    deviations = {}
    for name, y in outputs.items():
        deviation = float((y - expected).abs().max())
        if name in SMALLER:
            deviations[name] = deviation / largest if largest else deviation
        elif not deviation <= _TOLERANCE * max(1.0, largest):
            raise RecurraError(f"bench: y of {name} deviates by {deviation:.1e} from that of the reference")
    return deviations
