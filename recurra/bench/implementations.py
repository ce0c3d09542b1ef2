"""The implementations of one layer of a cell, as functions without arguments that can be timed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from recurra.bench.subjects import Shape
from recurra.cells import GRU, LSTM, Cell, Elman
from recurra.errors import InputError
from recurra.layers import Recurrent

PASSES = ("forward", "training")
"""Without gradients, and with the gradients of all weights and of x."""

_NAMESAKES: list[tuple[Cell, Callable[[int, int], nn.Module]]] = [
    (LSTM(), nn.LSTM),
    (GRU(), nn.GRU),
    (Elman("tanh"), partial(nn.RNN, nonlinearity="tanh")),
    (Elman("relu"), partial(nn.RNN, nonlinearity="relu")),
]


class Batch(NamedTuple):
    """The input of every implementation."""

    x: Tensor
    """(T, B, I)."""
    dy: Tensor
    """The gradient of the loss by y, (T, B, H): random numbers."""


class Implementations(NamedTuple):
    """The layers that are compared, by name, `recurra` first; all have the same weights."""

    engine: str
    """The engine that `recurra` runs on."""
    calls: dict[str, Callable[[], Any]]


def make_batch(shape: Shape) -> Batch:
    """Random numbers of those sizes, from a fixed seed."""
    generator = Generator().manual_seed(0)
    T, B, I, H = shape
    return Batch(torch.randn(T, B, I, generator=generator), torch.randn(T, B, H, generator=generator))


def make_layer(cell: Cell, shape: Shape, engine: str) -> Recurrent:
    """A layer of the cell, with weights from a fixed seed."""
    layer = Recurrent(cell, shape.I, shape.H, engine=engine)
    layer.reset_parameters(Generator().manual_seed(1))
    return layer


def timed_pass(layer: nn.Module, batch: Batch, kind: str, **more: Any) -> Callable[[], Any]:
    """The call that runs a layer on the batch, as `kind` of `PASSES` says; returns y, or the gradients.

    Args:
        layer: a layer of recurra or torch.nn.
        batch: its input.
        kind: "forward" or "training".
        **more: further arguments of the layer, such as lengths.
    """
    if kind == "forward":
        return partial(_forward, layer, batch.x, more)
    x = batch.x.clone().requires_grad_()
    return partial(_training, layer, x, batch.dy, more)


def _forward(layer: nn.Module, x: Tensor, more: dict[str, Any]) -> Tensor:
    with torch.no_grad():
        y: Tensor = layer(x, **more)[0]
    return y


def _training(layer: nn.Module, x: Tensor, dy: Tensor, more: dict[str, Any]) -> tuple[Tensor, ...]:
    # Not .backward(), which adds to existing gradients: the other implementations have no such addition.
    return torch.autograd.grad(layer(x, **more)[0], (x, *layer.parameters()), dy)


def gather(cell: Cell, shape: Shape, kind: str, engine: str) -> Implementations:
    """All implementations of a cell: recurra, the eager loop, and torch.nn and jax.lax.scan if they have the cell.

    If "auto" chooses torch.nn's kernel, the compiled loops are measured too, as "cpu".

    Raises:
        InputError: the engine cannot run the cell.
    """
    batch, layer = make_batch(shape), make_layer(cell, shape, engine)
    layers: dict[str, nn.Module] = {"recurra": layer, "eager": make_layer(cell, shape, "unroll")}
    chosen = layer.explain(batch.x).engine
    # The compiled loops are of interest too where they are not the default.
    if chosen == "native" and engine == "auto" and _runs(cpu := make_layer(cell, shape, "cpu"), batch.x):
        layers["cpu"] = cpu
    namesake = torch_equivalent(layer)
    if namesake is not None:
        layers["torch.nn"] = namesake
    calls = {name: timed_pass(layer, batch, kind) for name, layer in layers.items()}
    scan = _jax_scan(layer, batch, kind)
    return Implementations(chosen, calls if scan is None else {**calls, "jax": scan})


def has_torch_equivalent(cell: Cell) -> bool:
    """Whether torch.nn has a layer of exactly this cell."""
    return _namesake(cell) is not None


def torch_equivalent(layer: Recurrent) -> nn.Module | None:
    """torch.nn's layer of the same cell, with the same weights; None if it has none."""
    make = _namesake(layer.cell)
    if make is None:
        return None
    assert isinstance(layer.hidden_size, int)
    namesake = make(layer.input_size, layer.hidden_size)
    namesake.load_state_dict(layer.state_dict())
    return namesake


def _namesake(cell: Cell) -> Callable[[int, int], nn.Module] | None:
    return next((make for known, make in _NAMESAKES if known == cell), None)


def jax_is_installed() -> bool:
    """Whether jax.lax.scan can be compared with."""
    try:
        import jax  # noqa: F401
    except ImportError:
        return False
    return True


def _jax_scan(layer: Recurrent, batch: Batch, kind: str) -> Callable[[], Any] | None:
    if not jax_is_installed():
        return None
    from recurra.bench.jax_scan import jax_pass

    return jax_pass(layer.cell, layer.weights("_l0"), batch.x, batch.dy, kind)


def _runs(layer: Recurrent, x: Tensor) -> bool:
    try:
        layer.explain(x)
    except InputError:
        return False
    return True
