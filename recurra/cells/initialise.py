"""Initialisation of the parameters of a cell.

Every option sets one kind of parameters and leaves the others at torch's default U(-1/√H, 1/√H), so that options can
be combined.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import init

from recurra.cells.weights import Weights
from recurra.errors import InputError, nearest

RECURRENT = ("torch", "orthogonal", "normal", "identity")


@dataclass(frozen=True, kw_only=True)
class Initialisation:
    """The initial values of a cell's parameters.

    Raises:
        InputError: an unknown `recurrent`, a variance or a time that is not positive, a number that is not finite, two
            rules for one bias.
    """

    recurrent: str = "torch"
    """W_hh, gate by gate: "torch" U(-1/√H, 1/√H); "orthogonal" (Saxe et al. 2014); "normal" N(0, variance/H);
    "identity" (Le, Jaitly & Hinton 2015)."""
    variance: float | None = None
    """s of W_hh ~ N(0, s/H) for recurrent="normal": 3 makes a ReLU layer explode, 1.5 vanish, 2 is between."""
    input: str = "torch"
    """W_ih: "torch" or "xavier" (Glorot & Bengio 2010, gate by gate)."""
    forget_bias: float | None = None
    """The bias of the gates that keep the state (LSTM's f, GRU's z), whole: b_ih + b_hh (Jozefowicz et al. 2015). Its
    negative where the one gate of a cell weighs the new state instead (minimal gated unit, minGRU)."""
    chrono: int | None = None
    """The longest time to remember, in steps: b_f ~ log U(1, chrono - 1), b_i = -b_f (Tallec & Ollivier 2018)."""

    def __post_init__(self) -> None:
        if self.recurrent not in RECURRENT:
            raise InputError(
                f"recurrent={self.recurrent!r} is not an initialisation. {nearest(self.recurrent, RECURRENT)}"
            )
        if self.input not in ("torch", "xavier"):
            raise InputError(
                f"input={self.input!r} is not an initialisation. {nearest(self.input, ('torch', 'xavier'))}"
            )
        if self.recurrent == "normal" and self.variance is None:
            raise InputError("recurrent='normal' needs a variance (init_variance), such as 2; got variance=None")
        if self.recurrent != "normal" and self.variance is not None:
            raise InputError(
                f"recurrent={self.recurrent!r} with variance={self.variance}: it applies only to recurrent='normal'"
            )
        if self.variance is not None and not 0 < self.variance < math.inf:
            raise InputError(f"variance={self.variance} must be above 0 and finite: W_hh ~ N(0, variance/H)")
        if self.forget_bias is not None and not math.isfinite(self.forget_bias):
            raise InputError(f"forget_bias={self.forget_bias} must be a finite number, such as 1")
        if self.chrono is not None and self.chrono < 3:
            raise InputError(f"chrono={self.chrono} must be 3 steps or more: b_f ~ log U(1, chrono - 1)")
        if self.chrono is not None and self.forget_bias is not None:
            raise InputError("forget_bias and chrono both set the forget gate's bias: choose one of them")


def initialise(
    weights: Weights,
    how: Initialisation,
    *,
    gates: tuple[str, ...],
    recurrent: tuple[str, ...],
    memory: Mapping[str, int],
    generator: Generator | None = None,
) -> None:
    """Fills `weights` in place, in the order of torch.nn's draws; without a generator from torch's global one."""
    if how.recurrent != "torch" and not recurrent:
        raise InputError(f"recurrent={how.recurrent!r} initialises W_hh, which this cell lacks: no gate is recurrent")
    hidden = weights.ih.shape[0] // len(gates)
    bound = 1 / math.sqrt(hidden) if hidden else 0.0  # torch.nn's cells may have 0 units
    with torch.no_grad():
        # In the order of torch.nn's parameters, so that one seed gives the same numbers.
        for tensor in (weights.ih, weights.hh, weights.b_ih, weights.b_hh, weights.hr, *weights.vectors):
            if tensor is not None:
                tensor.uniform_(-bound, bound, generator=generator)
        # Gate by gate, because each (H, H) block is the recurrence of a gate.
        for block in weights.hh.chunk(len(recurrent)) if recurrent else ():
            _fill_recurrent(block, how, generator)
        if how.input == "xavier":
            for block in weights.ih.chunk(len(gates)):
                init.xavier_uniform_(block, generator=generator)
        if how.forget_bias is not None or how.chrono is not None:
            _fill_memory(weights, how, gates, recurrent, memory, generator)


def _fill_recurrent(block: Tensor, how: Initialisation, generator: Generator | None) -> None:
    if how.recurrent == "orthogonal":
        init.orthogonal_(block, generator=generator)
    elif how.recurrent == "identity":
        init.eye_(block)
    elif how.variance is not None:
        block.normal_(0, math.sqrt(how.variance / block.shape[0]), generator=generator)


def _fill_memory(
    weights: Weights,
    how: Initialisation,
    gates: tuple[str, ...],
    recurrent: tuple[str, ...],
    memory: Mapping[str, int],
    generator: Generator | None,
) -> None:
    if not memory:
        raise InputError("forget_bias or chrono: this cell has no gate that keeps its state (Cell.memory is empty)")
    if weights.b_ih is None:
        raise InputError("forget_bias or chrono needs biases, but the layer has bias=False")
    hidden = weights.ih.shape[0] // len(gates)
    # One time scale per unit for all gates: a unit that forgets slowly must also write slowly.
    times = weights.b_ih.new_empty(hidden)
    if how.chrono is not None:
        times.uniform_(1, how.chrono - 1, generator=generator)
    has_forget_gate = max(memory.values()) > 0
    for gate, sign in memory.items():
        if how.forget_bias is not None and sign < 0 and has_forget_gate:
            continue  # with a forget gate, the input gate keeps its default
        block = weights.b_ih.view(-1, hidden)[gates.index(gate)]
        block.copy_(sign * times.log()) if how.chrono is not None else block.fill_(sign * (how.forget_bias or 0.0))
        if weights.b_hh is not None and gate in recurrent:
            weights.b_hh.view(-1, hidden)[recurrent.index(gate)].zero_()
