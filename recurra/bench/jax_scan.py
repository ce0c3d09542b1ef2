"""Cells as a user of JAX would write them: a step under `jax.lax.scan`, compiled by `jax.jit`.

Imported only if JAX is installed. Optimised as far as a user can: the input's product of all steps is outside the scan,
biases too if the formula permits, and weights are (in, out), as in JAX's layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from torch import Tensor

from recurra.bench.leaky import Leaky
from recurra.cells import GRU, LSTM, Cell, Elman, PeepholeLSTM, Weights


class _Formula(NamedTuple):
    step: Callable[..., Any]
    """From z (B, G·H), u (B, R·H), the states and the vectors to the states; h first."""
    bias_in_step: bool = False
    """Whether the last gate's b_hh acts inside the step: then it is the last of the vectors."""


class _Parameters(NamedTuple):
    ih: Any  # (I, G·H)
    hh: Any  # (H, R·H)
    b_ih: Any
    b_hh: Any
    vectors: tuple[Any, ...]


def jax_pass(cell: Cell, weights: Weights, x: Tensor, dy: Tensor, kind: str) -> Callable[[], Any] | None:
    """The call that runs a cell in JAX, on the CPU, as `implementations.timed_pass`; None for a cell not written here.

    Args:
        cell: the cell.
        weights: its parameters, with biases.
        x: (T, B, I).
        dy: the gradient that comes back to y, (T, B, H).
        kind: "forward" returns y; "training" the gradients of x and of the parameters.
    """
    formula = _formula(cell)
    if formula is None:
        return None
    parameters, on_cpu = _converted(weights), jax.devices("cpu")[0]
    parameters, inputs, cotangent = jax.device_put((parameters, _array(x), _array(dy)), on_cpu)
    states = len(cell.states)

    def layer(inputs: Any, parameters: _Parameters) -> Any:
        return _scan(formula, states, inputs, parameters)

    def gradients(inputs: Any, parameters: _Parameters, cotangent: Any) -> Any:
        _, back = jax.vjp(layer, inputs, parameters)
        return back(cotangent)

    if kind == "forward":
        forward = jax.jit(layer)
        return lambda: jax.block_until_ready(forward(inputs, parameters))
    training = jax.jit(gradients)
    return lambda: jax.block_until_ready(training(inputs, parameters, cotangent))


def _scan(formula: _Formula, states: int, inputs: Any, parameters: _Parameters) -> Any:
    """The h of every step, (T, B, H)."""
    H = parameters.hh.shape[0]
    outside, vectors = parameters.b_hh, parameters.vectors
    if formula.bias_in_step:
        outside, vectors = outside.at[-H:].set(0.0), (*vectors, parameters.b_hh[-H:])
    Z = inputs @ parameters.ih + (parameters.b_ih + outside)  # (T, B, G·H)

    def step(carried: Any, z: Any) -> Any:
        new = formula.step(z, carried[0] @ parameters.hh, carried, vectors)
        return new, new[0]

    start = tuple(jnp.zeros((inputs.shape[1], H), inputs.dtype) for _ in range(states))
    return jax.lax.scan(step, start, Z)[1]


def _array(tensor: Tensor) -> Any:
    return jnp.asarray(tensor.detach().numpy())


def _converted(weights: Weights) -> _Parameters:
    assert weights.b_ih is not None
    assert weights.b_hh is not None
    matrices = (_array(weights.ih.t()), _array(weights.hh.t()))
    return _Parameters(*matrices, _array(weights.b_ih), _array(weights.b_hh), tuple(map(_array, weights.vectors)))


def _formula(cell: Cell) -> _Formula | None:
    if type(cell) is Elman:
        functions = {"tanh": jnp.tanh, "relu": jax.nn.relu}
        f = functions.get(cell.activation) if isinstance(cell.activation, str) else None
        return None if f is None else _Formula(lambda z, u, s, p: (f(z + u),))
    if getattr(cell, "activation", "tanh") != "tanh":
        return None
    return _FORMULAS.get(type(cell))


def _lstm(z: Any, u: Any, s: Any, p: Any) -> Any:
    i, f, g, o = jnp.split(z + u, 4, -1)
    c = jax.nn.sigmoid(f) * s[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def _peephole_lstm(z: Any, u: Any, s: Any, p: Any) -> Any:
    i, f, g, o = jnp.split(z + u, 4, -1)
    c = jax.nn.sigmoid(f + p[1] * s[1]) * s[1] + jax.nn.sigmoid(i + p[0] * s[1]) * jnp.tanh(g)
    return jax.nn.sigmoid(o + p[2] * c) * jnp.tanh(c), c


def _gru(z: Any, u: Any, s: Any, p: Any) -> Any:
    H = s[0].shape[-1]
    r, a = jnp.split(jax.nn.sigmoid(z[:, : 2 * H] + u[:, : 2 * H]), 2, -1)
    n = jnp.tanh(z[:, 2 * H :] + r * (u[:, 2 * H :] + p[-1]))
    return ((1 - a) * n + a * s[0],)


def _leaky(z: Any, u: Any, s: Any, p: Any) -> Any:
    n, a = jnp.split(z + u, 2, -1)
    a = jax.nn.sigmoid(a)
    return (a * s[0] + (1 - a) * jnp.tanh(n),)


_FORMULAS: dict[type[Cell], _Formula] = {
    LSTM: _Formula(_lstm),
    PeepholeLSTM: _Formula(_peephole_lstm),
    GRU: _Formula(_gru, bias_in_step=True),
    Leaky: _Formula(_leaky),
}
