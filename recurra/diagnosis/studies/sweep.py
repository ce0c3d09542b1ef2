"""Runs many networks of one cell in a batch, each with its own recurrent matrix, for heat maps over weight scales.

Each step is one batched product of (networks, rows, H) and (networks, H, R·H), instead of one run per point of the map.
All computations are in float64, because a gradient over a hundred steps exceeds the range of float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from recurra.cells import Cell, Gates, State
from recurra.cells.step_arguments import Recurrence, Vectors

ROWS = 8
"""Number of sequences per network, each with its own noise."""
NOISE = 0.1
"""Standard deviation of the noise on every pre-activation; small, so that the recurrent weights dominate the state."""

_NEAR = 1e-6


@dataclass(frozen=True)
class Networks:
    """P networks h_t, … = step(noise + bias, W_hh h_{t-1}, …).

    Args:
        cell: a cell with products of h only, and no vectors.
        hh: W_hh of each network, (P, R·H, H) float64.
        bias: added to the pre-activations of the named gates.
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
        """Draws W_hh ~ N(0, s/H) for each variance s, by scaling a single draw, so that a map is smooth."""
        rows = len(cell.recurrent) * units
        normal = torch.randn(rows, units, generator=generator, dtype=torch.float64) / units**0.5
        return cls(cell, torch.tensor(variances, dtype=torch.float64).sqrt()[:, None, None] * normal, bias or {})

    def start(self) -> State:
        """Returns zero states, (P, ROWS, H)."""
        P, _, H = self.hh.shape
        return State(**{name: self.hh.new_zeros(P, ROWS, H) for name in self.cell.states})

    def step(self, state: State, generator: Generator) -> State:
        """Returns the next state; each row has its own noise, which is the same in every network."""
        return self.with_noise(self.noise(generator))(state)

    def noise(self, generator: Generator) -> Tensor:
        """Draws the noise of one step, (ROWS, G·H)."""
        width = self.hh.shape[-1] * len(self.cell.gates)
        return NOISE * torch.randn(ROWS, width, generator=generator, dtype=torch.float64)

    def with_noise(self, noise: Tensor) -> Callable[[State], State]:
        """Returns one step as a function of the state only."""
        cell, H = self.cell, self.hh.shape[-1]
        parts = zip(cell.gates, noise.split(H, -1), strict=True)
        x = Gates(**{gate: part + self.bias.get(gate, 0.0) for gate, part in parts})

        def step(state: State) -> State:
            products = torch.bmm(state.h, self.hh.mT).split(H, -1)  # R × (P, ROWS, H)
            u = Recurrence(dict(zip(cell.recurrent, products, strict=True)), None)
            return cell.step(x, u, state, Vectors({}))[0]

        return step

    def settled(self, steps: int, generator: Generator) -> State:
        """Returns the state after `steps` steps from the zero state."""
        state = self.start()
        with torch.no_grad():
            for _ in range(steps):
                state = self.step(state, generator)
        return state


def gradient_by_lag(networks: Networks, state: State, *, lags: int, generator: Generator) -> Tensor:
    """Measures the norm of a gradient k steps back relative to k = 0; (P, lags + 1) float64.

    Args:
        networks: P networks.
        state: their initial state.
        lags: the largest k.
        generator: draws the noise and the gradients v ~ N(0, 1) with respect to the last state.

    Returns:
        The root mean square over rows of ‖J_kᵀ v‖ / ‖v‖, with J_k the Jacobian of the whole state over k steps: on
        average ‖J_k‖_F over the square root of its size.
    """
    states = [state.map(lambda tensor: tensor.detach().requires_grad_())]
    for _ in range(lags):
        states.append(networks.step(states[-1], generator))
    last = [torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype) for tensor in states[-1]]
    nodes = [tensor for one in states for tensor in one]
    gradients = torch.autograd.grad(list(states[-1]), nodes, last, materialize_grads=True)
    width = len(state)
    by_state = [gradients[at : at + width] for at in range(0, len(gradients), width)]
    squares = [sum(part.square().sum(-1) for part in parts) for parts in by_state]
    lengths = torch.stack([torch.as_tensor(square) for square in squares[::-1]], -1)  # (P, ROWS, lags + 1)
    return (lengths / lengths[..., :1]).mean(1).sqrt()


def lyapunov_exponent(networks: Networks, state: State, *, steps: int, generator: Generator) -> Tensor:
    """Returns the leading Lyapunov exponent in nats per step, (P,): if it is above 0, nearby states diverge.

    A tangent vector is propagated and normalised at every step. The exponent is the mean logarithm of its growth, over
    all but the first quarter of the steps, in which it aligns with the direction of largest growth.
    """
    tangent = state.map(lambda tensor: torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype))
    total = torch.zeros(state.h.shape[:2], dtype=torch.float64)
    tangent = _scaled(tangent, 1 / _length(tangent))
    for t in range(steps):
        step = networks.with_noise(networks.noise(generator))
        state, tangent = _push_forward(step, state, tangent)
        length = _length(tangent)
        tangent = _scaled(tangent, 1 / length)
        if t >= steps // 4:
            total += length.log()
    return total.mean(1) / (steps - steps // 4)


def _push_forward(step: Callable[[State], State], state: State, tangent: State) -> tuple[State, State]:
    """Returns the next state, and the Jacobian of the step times a tangent of length 1.

    The product is a finite difference with step 1e-6, accurate to about six digits in float64. PyTorch's forward mode
    emits deprecation warnings at its first use, and differentiating twice takes four times as long.
    """
    near = State(**{name: getattr(state, name) + _NEAR * getattr(tangent, name) for name in state._fields})
    with torch.no_grad():
        new, perturbed = step(state), step(near)
    product = {name: (getattr(perturbed, name) - getattr(new, name)) / _NEAR for name in state._fields}
    return new, State(**product)


def _length(state: State) -> Tensor:
    """The norm of the whole state of each row, (P, ROWS)."""
    return torch.stack([part.square().sum(-1) for part in state]).sum(0).sqrt()


def _scaled(state: State, factors: Tensor) -> State:
    """Multiplies each row of a state by its factor, (P, ROWS)."""
    return state.map(lambda part: part * factors[..., None])


def is_kept(gradients: Tensor) -> Tensor:
    """Whether a gradient stays within a factor of ten at every lag of (…, lags + 1); bool (…)."""
    return ((gradients >= 0.1) & (gradients <= 10)).all(-1)


def logarithm(gradients: Tensor) -> Tensor:
    """Returns log10 of gradients, finite even if one underflows or overflows float64."""
    return gradients.clamp(1e-300, 1e300).log10()
