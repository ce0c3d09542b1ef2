"""Many networks of one cell side by side, each with a recurrent matrix of its own: what maps over weights are made of.

One product of (networks, rows, H) by (networks, H, R·H) a step takes the place of a run for every point of a map. All
in float64, because a gradient over a hundred steps leaves the range of float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from recurra.cells import Cell, Gates, State
from recurra.cells.step_arguments import Recurrence, Vectors

ROWS = 8
"""Sequences a network reads side by side, each with noise of its own."""
NOISE = 0.1
"""Standard deviation of the noise on every pre-activation: weak, so that the state is of the network's making."""

_NEAR = 1e-6


@dataclass(frozen=True)
class Networks:
    """P networks h_t, … = step(noise + bias, W_hh h_{t-1}, …).

    Args:
        cell: with products of h only, no vectors.
        hh: W_hh of each, (P, R·H, H) float64.
        bias: added to the pre-activations of the gates named.
    """

    cell: Cell
    hh: Tensor
    bias: dict[str, float]

    @classmethod
    def drawn(
        cls,
        cell: Cell,
        variances: Sequence[float],
        units: int,
        generator: Generator,
        *,
        bias: dict[str, float] | None = None,
    ) -> Networks:
        """W_hh ~ N(0, s/H) for each variance s: one draw of numbers, scaled, so that a map is smooth."""
        rows = len(cell.recurrent) * units
        normal = torch.randn(rows, units, generator=generator, dtype=torch.float64) / units**0.5
        return cls(cell, torch.tensor(variances, dtype=torch.float64).sqrt()[:, None, None] * normal, bias or {})

    def start(self) -> State:
        """States of 0, (P, ROWS, H)."""
        P, _, H = self.hh.shape
        return State(**{name: self.hh.new_zeros(P, ROWS, H) for name in self.cell.states})

    def step(self, state: State, generator: Generator) -> State:
        """The next state; each row has its own noise, the same in every network."""
        return self.with_noise(self.noise(generator))(state)

    def noise(self, generator: Generator) -> Tensor:
        """The noise of one step, (ROWS, G·H)."""
        width = self.hh.shape[-1] * len(self.cell.gates)
        return NOISE * torch.randn(ROWS, width, generator=generator, dtype=torch.float64)

    def with_noise(self, noise: Tensor) -> Callable[[State], State]:
        """One step as a function of the state alone."""
        cell, H = self.cell, self.hh.shape[-1]
        parts = zip(cell.gates, noise.split(H, -1), strict=True)
        x = Gates(**{gate: part + self.bias.get(gate, 0.0) for gate, part in parts})

        def step(state: State) -> State:
            products = torch.bmm(state.h, self.hh.mT).split(H, -1)  # R × (P, ROWS, H)
            u = Recurrence(dict(zip(cell.recurrent, products, strict=True)), None)
            return cell.step(x, u, state, Vectors({}))[0]

        return step

    def settled(self, steps: int, generator: Generator) -> State:
        """The state after so many steps from 0."""
        state = self.start()
        with torch.no_grad():
            for _ in range(steps):
                state = self.step(state, generator)
        return state


def gradient_by_lag(networks: Networks, state: State, *, lags: int, generator: Generator) -> Tensor:
    """How long a gradient is after k steps back, in units of its length at k = 0; (P, lags + 1) float64.

    Args:
        networks: P networks.
        state: where they are.
        lags: how far back.
        generator: draws the noise and the gradients v ~ N(0, 1) that arrive at the last state.

    Returns:
        The root mean square over rows of ‖J_kᵀ v‖ / ‖v‖, J_k the Jacobian of the whole state over k steps: on average
        ‖J_k‖_F over the root of its size.
    """
    states = [state.map(lambda tensor: tensor.detach().requires_grad_())]
    for _ in range(lags):
        states.append(networks.step(states[-1], generator))
    arriving = [torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype) for tensor in states[-1]]
    flat = [tensor for one in states for tensor in one]
    found = torch.autograd.grad(list(states[-1]), flat, arriving, materialize_grads=True)
    width = len(state)
    squares = [sum(part.square().sum(-1) for part in found[at : at + width]) for at in range(0, len(found), width)]
    lengths = torch.stack([torch.as_tensor(square) for square in squares[::-1]], -1)  # (P, ROWS, lags + 1)
    return (lengths / lengths[..., :1]).mean(1).sqrt()


def lyapunov_exponent(networks: Networks, state: State, *, steps: int, generator: Generator) -> Tensor:
    """The leading Lyapunov exponent in nats a step, (P,): above 0, two states however close part at that rate.

    A tangent vector is carried along and scaled back to length 1 at every step; the mean logarithm of what it grew by,
    over all but the first quarter of the steps, in which it turns into the direction that grows most.
    """
    tangent = state.map(lambda tensor: torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype))
    total = torch.zeros(state.h.shape[:2], dtype=torch.float64)
    tangent = _scaled(tangent, 1 / _length(tangent))
    for t in range(steps):
        step = networks.with_noise(networks.noise(generator))
        state, tangent = _pushed(step, state, tangent)
        length = _length(tangent)
        tangent = _scaled(tangent, 1 / length)
        if t >= steps // 4:
            total += length.log()
    return total.mean(1) / (steps - steps // 4)


def _pushed(step: Callable[[State], State], state: State, tangent: State) -> tuple[State, State]:
    """The next state, and the Jacobian of the step times a tangent of length 1.

    As a difference of 1e-6, which in float64 is right to about as many digits: forward mode in PyTorch warns of its own
    deprecated scripts at its first use, and a product by differentiating twice takes four times as long.
    """
    near = State(**{name: getattr(state, name) + _NEAR * getattr(tangent, name) for name in state._fields})
    with torch.no_grad():
        new, beside = step(state), step(near)
    pushed = {name: (getattr(beside, name) - getattr(new, name)) / _NEAR for name in state._fields}
    return new, State(**pushed)


def _length(state: State) -> Tensor:
    """The length of the whole state of each row, (P, ROWS)."""
    return torch.stack([part.square().sum(-1) for part in state]).sum(0).sqrt()


def _scaled(state: State, factors: Tensor) -> State:
    """Each row of a state times a factor of its own, (P, ROWS)."""
    return state.map(lambda part: part * factors[..., None])


def is_kept(gradients: Tensor) -> Tensor:
    """Whether a gradient stays within a factor of ten of its beginning at every lag of (…, lags + 1); bool (…)."""
    return ((gradients >= 0.1) & (gradients <= 10)).all(-1)


def logarithm(gradients: Tensor) -> Tensor:
    """log10 of gradients, finite also where one has left the range of float64."""
    return gradients.clamp(1e-300, 1e300).log10()
