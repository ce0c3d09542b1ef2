"""Any cell as a torch.nn module: stacked, in both directions, over padded or packed batches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recurra.cells import Activation, Cell, Gates, Initialisation, State, States, Weights, find_cell
from recurra.engine import Masks, Request, Result, explain, run
from recurra.errors import InputShapeError
from recurra.layers import options
from recurra.layers.checks import check_is_state, check_state
from recurra.layers.connections import connect, fill_highway, register_highway
from recurra.layers.dtypes import check_dtypes, like_input
from recurra.layers.explanation import Explanation
from recurra.layers.masks import Drops, StackMasks, check_masks, no_masks
from recurra.layers.parameters import Place, fill, gather, register, stack_of
from recurra.layers.scripting import NotScriptable
from recurra.layers.sequences import Entered, enter


class Recurrent(NotScriptable, nn.Module):
    """A stack of recurrent layers of one cell: h_t^l = step(h_t^{l-1}, h_{t-1}^l).

    Parameters have torch.nn's names and layout: `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`,
    `weight_hr_l0` with a projection, the suffix `_reverse` for the second direction. Further ones: a cell's per-unit
    vectors `vector_{name}_l0`; a learned initial state `initial_{state}_l0`; with layer_norm the gains `gain_ih_l0`,
    `gain_hh_l0` (the biases are the shifts) and, for a cell state, `gain_c_l0` and `shift_c_l0`; with highway
    `weight_highway_l1` and `bias_highway_l1`.

    Args:
        cell: a name of the table ("lstm"), "module:Class", a `Cell` or its class.
        input_size: features of x, I.
        hidden_size: units of each layer, H; a list such as [256, 128] for layers of unequal size.
        num_layers: layers on top of each other; left out with a list of sizes.
        bias: whether b_ih and b_hh exist.
        batch_first: x and y as (B, T, features) instead of (T, B, features).
        dropout: the share of y set to 0 between layers while training, 1 included.
        locked_dropout: one dropout mask for all steps of a sequence (Gal & Ghahramani 2016) in place of one a step.
        bidirectional: a second cell runs from each row's end to its start; y holds both, forward first.
        proj_size: P > 0 emits W_hr h of size P, and feeds that back (Sak et al. 2014). The state is W_hr h as in torch
            for a cell that reads h only through W_hh (RNN, LSTM), else h of size H (GRU).
        activation: the cell's option of that name, for a cell given by name or class.
        layer_norm: normalise W_ih x and W_hh h over each gate's units, and the cell state where it is read out (Ba et
            al. 2016, eq. 20-22).
        recurrent_dropout: the share of h set to 0 before every recurrent product while training, one mask a sequence
            for all gates (Gal & Ghahramani 2016).
        weight_drop: the share of W_hh set to 0 while training, one mask a call (Merity et al. 2018).
        zoneout: the share of units that keep their last state (Krueger et al. 2017), for all states or by name,
            {"h": 0.05, "c": 0.5}; in evaluation the expectation.
        residual: every layer above the first adds its input, before dropout, to its output.
        highway: every layer above the first mixes its input and its output by a learned gate.
        init: how the parameters begin.
        learn_initial_state: start from parameters, at first 0, where no state is given.
        recompute: for long sequences, keep only the state of every so many steps for the backward pass and compute what
            lies between again; True for √T steps, with which memory beside x and y grows as √T. Costs another forward
            pass. False keeps all.
        engine: "auto" or the name of one engine.
        device: as torch.nn.
        dtype: as torch.nn.

    Raises:
        InputError: an argument that does not fit, or cannot be combined with another, here or in `forward`.
    """

    def __init__(
        self,
        cell: str | Cell | type[Cell],
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        *,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        locked_dropout: bool = False,
        bidirectional: bool = False,
        proj_size: int = 0,
        activation: str | Activation | None = None,
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        weight_drop: float = 0.0,
        zoneout: float | Mapping[str, float] = 0.0,
        residual: bool = False,
        highway: bool = False,
        init: Initialisation | None = None,
        learn_initial_state: bool = False,
        recompute: bool | int = False,
        engine: str = "auto",
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        nn.Module.__init__(self)  # not super(): the namesakes are nn.RNNBase too, whose own start must not run
        name = type(self).__name__
        options.check_dropout(name, dropout)
        self.cell = find_cell(cell, **({} if activation is None else {"activation": activation}))
        self._units = options.unit_counts(name, hidden_size, num_layers)
        self.input_size, self.num_layers = input_size, len(self._units)
        self.hidden_size = self._units if isinstance(hidden_size, Sequence) else hidden_size
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout, self.locked_dropout, self.proj_size = float(dropout), locked_dropout, proj_size
        self.layer_norm, self.recurrent_dropout, self.weight_drop = layer_norm, recurrent_dropout, weight_drop
        self.zoneout = options.zoneout_rates(name, self.cell, zoneout)
        self.residual, self.highway = residual, highway
        options.check_initialisation(name, init)
        self.init, self.learn_initial_state = init or Initialisation(), learn_initial_state
        self.recompute, self.engine = recompute, engine
        self._check()
        self._places = stack_of(self.cell, input_size, self._units, proj_size, 1 + bidirectional)
        self._check_connections()
        # Modules of their own would show up in the repr and in hooks of people who replace torch.nn's layers.
        for place in self._places:
            register(
                self, place, self.cell,
                bias=bias, layer_norm=layer_norm, learned=learn_initial_state, device=device, dtype=dtype,
            )  # fmt: skip
        for layer in range(1, self.num_layers) if highway else ():
            register_highway(self, layer, self.output_size, device, dtype)
        self.reset_parameters()
        assert self.cell.formula  # runs the formula once, here and not within a trace of the first call

    def _check(self) -> None:
        name = type(self).__name__
        options.check_count(name, "input_size", self.input_size)
        for switch in ("bias", "batch_first", "bidirectional"):
            options.check_switch(name, switch, getattr(self, switch))
        options.check_engine(name, self.engine)
        options.check_recompute(name, self.recompute)
        options.check_projection(name, self.proj_size, self._units)
        drops = {"recurrent_dropout": self.recurrent_dropout, "weight_drop": self.weight_drop}
        options.check_recurrent_drops(name, self.cell, drops)
        if self.layer_norm:
            options.check_layer_norm(name, self._units)

    def _check_connections(self) -> None:
        widths = [place.emitted for place in self._places if not place.reverse]
        options.check_connections(type(self).__name__, self.residual, self.highway, widths)

    @property
    def emitted_size(self) -> int:
        """Features of y of one direction: proj_size, or the units of the last layer without projection."""
        return self._places[-1].emitted

    @property
    def output_size(self) -> int:
        """Features of y: twice `emitted_size` with two directions."""
        return self.emitted_size * (1 + self.bidirectional)

    def weights(self, suffix: str) -> Weights:
        """The parameters of one layer and direction, such as "_l0" or "_l1_reverse"."""
        return gather(self, suffix, self.cell)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Fills all parameters anew as `init` says; with torch's default exactly as torch.nn would from one seed."""
        for place in self._places:
            fill(self, place, self.cell, self.init, learned=self.learn_initial_state, generator=generator)
        for layer in range(1, self.num_layers) if self.highway else ():
            fill_highway(self, layer, generator)

    def initial_state(self, rows: int) -> States:
        """The state of `rows` fresh sequences: 0, or the learned one. A `State` a layer and direction, (rows, H)."""
        return tuple(self._start(place, rows) for place in self._places)

    def _start(self, place: Place, rows: int) -> State:
        if self.learn_initial_state:
            learned = {name: getattr(self, f"initial_{name}{place.suffix}") for name in place.states}
            return State(**{name: tensor.expand(rows, -1) for name, tensor in learned.items()})
        weight = getattr(self, "weight_hh" + place.suffix)
        return State(**{name: weight.new_zeros(rows, size) for name, size in place.states.items()})

    @property
    def _drops(self) -> Drops:
        return Drops(self.dropout, self.locked_dropout, self.recurrent_dropout, self.weight_drop, self.zoneout)

    @property
    def _recurrent_weights(self) -> list[Tensor]:
        return [getattr(self, "weight_hh" + place.suffix) for place in self._places]

    def draw_masks(self, rows: int, steps: int | None = None, generator: Generator | None = None) -> StackMasks:
        """Draws what is random in a training pass, to be given to `forward` as `masks=`.

        Give the masks of one draw to every window of a sequence, and they are those of the whole sequence.

        Args:
            rows: B.
            steps: T, to draw also what changes from step to step (zoneout, unlocked dropout); where None, each call in
                training draws these for itself.
            generator: on the device of the parameters; torch's global one where None.
        """
        return self._drops.draw(self._places, self._recurrent_weights, rows, steps, generator)

    def forward(
        self,
        x: Tensor | PackedSequence,
        state: Iterable[State] | None = None,
        *,
        lengths: Tensor | None = None,
        masks: StackMasks | None = None,
        return_gates: bool = False,
    ) -> Any:
        """Runs the stack.

        Args:
            x: (T, B, I), (B, T, I) with batch_first, (T, I) for one sequence alone, or a packed sequence.
            state: a `State` for each layer and direction, tensors (B, H); the initial state where None.
            lengths: int64 (B,), the steps of each row; y is 0 past them.
            masks: what `draw_masks` drew, applied in training and in evaluation; fresh ones while training where None.
            return_gates: return the gates too.

        Returns:
            y like x with `output_size` features, and the state of each row at its own end; with `return_gates` also
            the gates by name of each layer and direction, (T, B, H) each or as x came, 0 past a row's length.
        """
        given = self._enter(x, lengths)
        rows = given.x.shape[1]
        states = self._begin(given.x, rows) if state is None else self._given(tuple(state), rows, given.single)
        check_dtypes(type(self).__name__, given.x, states, self._recurrent_weights[0])
        if masks is None:
            masks = self.draw_masks(rows) if self.training else no_masks(self._places)
        else:
            check_masks(type(self).__name__, masks, self._places, self._recurrent_weights, *given.x.shape[:2])
        y, results = self._stack(given, states, masks, return_gates)
        last = tuple(result.state for result in results)
        if given.single:
            last = tuple(one.map(lambda tensor: tensor[0]) for one in last)
        if not return_gates:
            return given.leave_packed(y), last
        return given.leave_packed(y), last, tuple(given.leave_gates(result.kept or Gates()) for result in results)

    def _enter(self, x: Tensor | PackedSequence, lengths: Tensor | None) -> Entered:
        return enter(type(self).__name__, x, lengths, input_size=self.input_size, batch_first=self.batch_first)

    def _begin(self, x: Tensor, rows: int) -> States:
        states = self.initial_state(rows)
        return states if self.learn_initial_state else like_input(states, x)

    def _given(self, states: States, rows: int, single: bool) -> States:
        name, wanted = type(self).__name__, len(self._places)
        for one in states:
            check_is_state(name, one)
        if len(states) != wanted:
            raise InputShapeError(f"{name}: {len(states)} states given, expected {wanted}, one a layer and direction")
        if single:
            states = tuple(one.map(lambda tensor: tensor[None]) for one in states)
        for one, place in zip(states, self._places, strict=True):
            check_state(name, one, self.cell, tuple(place.states.values()), rows)
        return states

    def _stack(self, given: Entered, states: States, masks: StackMasks, keep: bool) -> tuple[Tensor, list[Result]]:
        x = given.x
        results: list[Result] = []
        for layer in range(self.num_layers):
            below, first = x, len(results)
            if layer:
                x = self._dropped(x, masks.between[layer - 1])
            for index in range(first, first + 1 + self.bidirectional):
                request = self._request(x, states[index], given.lengths, masks, index, keep)
                results.append(self.run_layer(request))
            outputs = [result.y for result in results[first:]]
            x = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]  # (T, B, D·P)
            if layer:
                x = connect(self, layer, below, x)
        return x, results

    def run_layer(self, request: Request) -> Result:
        """Runs one layer in one direction: the place to look on, or to run it another way."""
        return run(request, self.engine)

    def _dropped(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """What a layer above the first reads, of what the layer below gave."""
        if mask is not None:
            return x * mask
        return torch.dropout(x, self.dropout, self.training and not self.locked_dropout)

    def _request(
        self, x: Tensor, state: State, lengths: Tensor | None, masks: StackMasks, index: int, keep: bool
    ) -> Request:
        place = self._places[index]
        weights, zoneout, drop = self.weights(place.suffix), masks.zoneout[index], masks.weight[index]
        if not zoneout and self.zoneout:
            draw = self._drops.draw_zoneout if self.training else self._drops.expected_zoneout
            zoneout = draw(place, weights.hh, *((x.shape[1], x.shape[0]) if self.training else ()))
        if drop is not None:
            weights = weights._replace(hh=weights.hh * drop)
        around = Masks(masks.recurrent[index], zoneout)
        steps = math.isqrt(len(x)) if self.recompute is True else int(self.recompute)
        return Request(self.cell, x, state, weights, lengths, place.reverse, around, keep, steps)

    def explain(self, x: Tensor | PackedSequence, *, lengths: Tensor | None = None) -> Explanation:
        """What runs each layer and direction on such an input, why, and what it keeps for the backward pass."""
        given = self._enter(x, lengths)
        T, rows = given.x.shape[:2]
        # From a generator of its own: asking must not move the global one.
        generator = torch.Generator(self._recurrent_weights[0].device).manual_seed(0)
        masks = self.draw_masks(rows, T, generator) if self.training else no_masks(self._places)
        states, found = self.initial_state(rows), {}
        for index, place in enumerate(self._places):
            features = given.x if place.layer == 0 else given.x.new_empty(T, rows, place.input)
            request = self._request(features, states[index], given.lengths, masks, index, False)
            found[place.suffix.removeprefix("_")] = explain(request, self.engine)
        return Explanation(found)

    def extra_repr(self) -> str:
        """The arguments that are not at their defaults, as torch.nn prints them."""
        return ", ".join([f"{self.cell}", f"{self.input_size}", f"{self.hidden_size}", *self._changed()])

    def _changed(self) -> list[str]:
        layers = 1 if isinstance(self.hidden_size, int) else self.num_layers
        defaults: dict[str, object] = {"proj_size": 0, "num_layers": layers, "bias": True, "batch_first": False}
        defaults |= {"dropout": 0.0, "locked_dropout": False, "bidirectional": False, "layer_norm": False}
        defaults |= {"recurrent_dropout": 0.0, "weight_drop": 0.0, "zoneout": {}, "residual": False, "highway": False}
        defaults |= {"learn_initial_state": False, "recompute": False, "engine": "auto"}
        values = {name: getattr(self, name) for name in defaults}
        return [f"{name}={value}" for name, value in values.items() if value != defaults[name]]
