"""Any cell as a torch.nn module: stacked, in both directions, over padded or packed batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from recurra.cells import Cell, Initialisation, State, States, Weights, find_cell
from recurra.engine import Choice, Request, choose, run
from recurra.engine.run import ENGINES
from recurra.errors import InputError, nearest
from recurra.layers.checks import check_input, check_lengths, check_state
from recurra.layers.dropout import LockedDropout


class Recurrent(nn.Module):
    """A stack of recurrent layers of one cell: h_t^l = step(h_t^{l-1}, h_{t-1}^l).

    Parameters have torch.nn's names and layout: `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`,
    `weight_hr_l0` with a projection, the suffix `_reverse` for the second direction; a cell's per-unit vectors are
    `vector_{name}_l0`, a learned initial state is `initial_{state}_l0`.

    Args:
        cell: a name of the table ("lstm"), "module:Class", a `Cell` or its class.
        input_size: features of x, I.
        hidden_size: units of each layer, H.
        num_layers: layers on top of each other.
        bias: whether b_ih and b_hh exist.
        batch_first: x and y as (B, T, features) instead of (T, B, features).
        dropout: the share of y set to 0 between layers while training.
        locked_dropout: one dropout mask for all steps of a sequence (Gal & Ghahramani 2016) in place of one a step.
        bidirectional: a second cell runs from each row's end to its start; y holds both, forward first.
        proj_size: P > 0 emits W_hr h of size P, and feeds that back (Sak et al. 2014). LSTM only.
        init: how the parameters begin.
        learn_initial_state: start from parameters, at first 0, where no state is given.
        engine: "auto" or the name of one engine.
        device: as torch.nn.
        dtype: as torch.nn.

    Raises:
        InputError: an argument that does not fit, here or in `forward`.
    """

    def __init__(
        self,
        cell: str | Cell | type[Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        locked_dropout: bool = False,
        bidirectional: bool = False,
        proj_size: int = 0,
        init: Initialisation | None = None,
        learn_initial_state: bool = False,
        engine: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.cell = find_cell(cell)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout, self.locked_dropout, self.proj_size = float(dropout), locked_dropout, proj_size
        self.init, self.learn_initial_state, self.engine = init or Initialisation(), learn_initial_state, engine
        self._check()
        # Modules of their own would show up in the repr and in hooks of people who replace torch.nn's layers.
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                self._register(layer, suffix, device, dtype)
        self.reset_parameters()

    def _check(self) -> None:
        name = type(self).__name__
        for field in ("input_size", "hidden_size", "num_layers"):
            value = getattr(self, field)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name}: {field}={value!r} must be a whole number above 0")
        if not 0 <= self.dropout < 1:
            raise InputError(f"{name}: dropout={self.dropout} must lie in [0, 1)")
        if self.engine not in ENGINES:
            raise InputError(f"{name}: there is no engine {self.engine!r}. {nearest(self.engine, ENGINES)}")
        if not 0 <= self.proj_size < self.hidden_size:
            raise InputError(f"{name}: proj_size={self.proj_size} must lie within 0 and hidden_size={self.hidden_size}")
        if self.proj_size and self.cell.states[1:] != ("c",):
            raise InputError(f"{name}: proj_size={self.proj_size} is for LSTM; {self.cell} reads its own h")
        assert isinstance(self.cell.second_phase, tuple)  # reads the formula once: a misnamed gate is found here

    def _suffixes(self, layer: int) -> tuple[str, ...]:
        return (f"_l{layer}", f"_l{layer}_reverse") if self.bidirectional else (f"_l{layer}",)

    @property
    def emitted_size(self) -> int:
        """Features of y of one direction: proj_size, or hidden_size without projection."""
        return self.proj_size or self.hidden_size

    @property
    def output_size(self) -> int:
        """Features of y: twice `emitted_size` with two directions."""
        return self.emitted_size * (1 + self.bidirectional)

    def _register(self, layer: int, suffix: str, device: Any, dtype: Any) -> None:
        cell, H, P = self.cell, self.hidden_size, self.emitted_size
        I = self.input_size if layer == 0 else self.output_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (len(cell.gates) * H, I),
            "weight_hh": (len(cell.recurrent) * H, P),
        }
        if self.bias:
            shapes |= {"bias_ih": (len(cell.gates) * H,), "bias_hh": (len(cell.recurrent) * H,)}
        if self.proj_size:
            shapes["weight_hr"] = (P, H)
        shapes |= {f"vector_{name}": (H,) for name in cell.vectors}
        for name, shape in shapes.items():
            self.register_parameter(name + suffix, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        if self.learn_initial_state:
            for name, size in zip(cell.states, self._state_sizes(), strict=True):
                start = torch.zeros(size, device=device, dtype=dtype)
                self.register_parameter(f"initial_{name}{suffix}", nn.Parameter(start))

    def _state_sizes(self) -> tuple[int, ...]:
        return (self.emitted_size,) + (self.hidden_size,) * (len(self.cell.states) - 1)

    def weights(self, suffix: str) -> Weights:
        """The parameters of one layer and direction, such as "_l0" or "_l1_reverse"."""
        found = {name: getattr(self, name + suffix, None) for name in ("bias_ih", "bias_hh", "weight_hr")}
        vectors = tuple(getattr(self, f"vector_{name}{suffix}") for name in self.cell.vectors)
        ih, hh = getattr(self, "weight_ih" + suffix), getattr(self, "weight_hh" + suffix)
        return Weights(ih, hh, found["bias_ih"], found["bias_hh"], found["weight_hr"], vectors)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Fills all parameters anew as `init` says; with torch's default exactly as torch.nn would from one seed."""
        for layer in range(self.num_layers):
            for suffix in self._suffixes(layer):
                self.cell.initialise(self.weights(suffix), self.init, generator)
                for name in self.cell.states if self.learn_initial_state else ():
                    nn.init.zeros_(getattr(self, f"initial_{name}{suffix}"))

    def initial_state(self, rows: int) -> States:
        """The state of `rows` fresh sequences: 0, or the learned one. A `State` a layer and direction, (rows, H)."""
        return tuple(self._start(suffix, rows) for layer in range(self.num_layers) for suffix in self._suffixes(layer))

    def _start(self, suffix: str, rows: int) -> State:
        weight = getattr(self, "weight_hh" + suffix)
        sizes = dict(zip(self.cell.states, self._state_sizes(), strict=True))
        if self.learn_initial_state:
            return State(**{name: getattr(self, f"initial_{name}{suffix}").expand(rows, -1) for name in sizes})
        return State(**{name: weight.new_zeros(rows, size) for name, size in sizes.items()})

    def forward(
        self, x: Tensor | PackedSequence, state: Iterable[State] | None = None, *, lengths: Tensor | None = None
    ) -> tuple[Any, States]:
        """Runs the stack.

        Args:
            x: (T, B, I), (B, T, I) with batch_first, (T, I) for one sequence alone, or a packed sequence.
            state: a `State` for each layer and direction, tensors (B, H); the initial state where None.
            lengths: int64 (B,), the steps of each row; y is 0 past them.

        Returns:
            y like x with `output_size` features, and the state of each row at its own end.
        """
        packed = x if isinstance(x, PackedSequence) else None
        steps, lengths, single = self._enter(x, lengths)  # (T, B, I)
        states = self.initial_state(steps.shape[1]) if state is None else self._given(tuple(state), steps, single)
        y, last = self._stack(steps, states, lengths)
        if packed is not None:
            return _pack(y, packed), last
        if single:
            return y[:, 0], tuple(one.map(lambda tensor: tensor[0]) for one in last)
        return y.transpose(0, 1) if self.batch_first else y, last

    def _enter(self, x: Tensor | PackedSequence, lengths: Tensor | None) -> tuple[Tensor, Tensor | None, bool]:
        """X as (T, B, I), its lengths, and whether it was one sequence without a batch."""
        name = type(self).__name__
        if isinstance(x, PackedSequence):
            if lengths is not None:
                raise InputError(f"{name}: a packed sequence carries its lengths already: leave lengths= out")
            x, lengths = pad_packed_sequence(x)
            check_input(name, x, self.input_size)
            return x, lengths, False
        check_input(name, x, self.input_size)
        single = x.dim() == 2
        if single:
            x = x[:, None]  # (T, 1, I)
        elif self.batch_first:
            x = x.transpose(0, 1)  # (T, B, I)
        if lengths is not None:
            check_lengths(name, lengths, x)
        return x, lengths, single

    def _given(self, states: States, x: Tensor, single: bool) -> States:
        name, wanted = type(self).__name__, self.num_layers * (1 + self.bidirectional)
        if len(states) != wanted:
            raise InputError(f"{name}: {len(states)} states given, expected {wanted}, one a layer and direction")
        if single:
            states = tuple(one.map(lambda tensor: tensor[None]) for one in states)
        for one in states:
            check_state(name, one, self.cell, self._state_sizes(), x.shape[1])
        return states

    def _stack(self, x: Tensor, states: States, lengths: Tensor | None) -> tuple[Tensor, States]:
        last: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = LockedDropout.drop(x, self.dropout) if self.locked_dropout else torch.dropout(x, self.dropout, True)
            outputs = []
            for reverse, suffix in enumerate(self._suffixes(layer)):
                request = self._request(x, states[len(last)], suffix, lengths, bool(reverse))
                result = run(request, self.engine)
                outputs.append(result.y)
                last.append(result.state)
            x = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]  # (T, B, D·P)
        return x, tuple(last)

    def _request(self, x: Tensor, state: State, suffix: str, lengths: Tensor | None, reverse: bool) -> Request:
        return Request(self.cell, x, state, self.weights(suffix), lengths=lengths, reverse=reverse)

    def explain(self, x: Tensor | PackedSequence, *, lengths: Tensor | None = None) -> Choice:
        """Which engine runs the first layer on such an input, and why."""
        steps, lengths, _ = self._enter(x, lengths)
        state = self.initial_state(steps.shape[1])[0]
        return choose(self._request(steps, state, "_l0", lengths, False), self.engine)

    def extra_repr(self) -> str:
        """The arguments that are not at their defaults, as torch.nn prints them."""
        parts = [f"{self.cell}", f"{self.input_size}", f"{self.hidden_size}"]
        return ", ".join(parts + self._changed())

    def _changed(self) -> list[str]:
        defaults: dict[str, object] = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
        }
        defaults |= {"locked_dropout": False, "bidirectional": False, "learn_initial_state": False, "engine": "auto"}
        values = {name: getattr(self, name) for name in defaults}
        return [f"{name}={value}" for name, value in values.items() if value != defaults[name]]


def _pack(y: Tensor, like: PackedSequence) -> PackedSequence:
    """Y (T, B, P), rows in the caller's order, as a packed sequence with the layout of `like`."""
    rows = y if like.sorted_indices is None else y.index_select(1, like.sorted_indices)
    lengths = (like.batch_sizes[:, None] > torch.arange(y.shape[1])).sum(0)  # (B,), falling
    data = pack_padded_sequence(rows, lengths).data
    return PackedSequence(data, like.batch_sizes, like.sorted_indices, like.unsorted_indices)
