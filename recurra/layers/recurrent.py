"""Any cell as a torch.nn module: stacked, in both directions, over padded or packed batches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recurra.cells import Activation, Cell, Gates, Initialisation, State, States, Weights, find_cell
from recurra.engine import Masks, Request, Result, run
from recurra.engine.stream import Stream
from recurra.layers import options
from recurra.layers.checks import batched_states
from recurra.layers.connections import connect, fill_highway, register_highway
from recurra.layers.dtypes import check_dtypes, like_input
from recurra.layers.explanation import Explanation, explain_stack
from recurra.layers.masks import DropoutRates, StackMasks, check_masks, no_masks
from recurra.layers.parameters import fill, gather, initial_state, register, stack_positions
from recurra.layers.representation import non_default_arguments
from recurra.layers.resets import Resets, padded_resets
from recurra.layers.scripting import NotScriptable
from recurra.layers.sequences import PaddedInput, to_padded
from recurra.layers.streaming import stream_of


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
        num_layers: number of layers; omitted with a list of sizes.
        bias: whether b_ih and b_hh exist.
        batch_first: x and y as (B, T, features) instead of (T, B, features).
        dropout: the probability of setting y to 0 between layers while training, at most 1.
        locked_dropout: one dropout mask for all steps of a sequence (Gal & Ghahramani 2016) instead of one per step.
        bidirectional: a second cell runs from each row's end to its start; y concatenates both, forward first.
        proj_size: P > 0 returns W_hr h of size P, and feeds it back (Sak et al. 2014). The state is W_hr h as in torch
            for a cell that reads h only through W_hh (RNN, LSTM), else h of size H (GRU).
        activation: the cell's option of that name, for a cell given by name or class.
        layer_norm: normalise W_ih x and W_hh h over each gate's units, and the cell state before the output (Ba et
            al. 2016, eq. 20-22).
        recurrent_dropout: the probability of setting h to 0 before every recurrent product while training, one mask per
            sequence for all gates (Gal & Ghahramani 2016).
        weight_drop: the probability of setting W_hh to 0 while training, one mask per call (Merity et al. 2018).
        zoneout: the probability that a unit keeps its last state (Krueger et al. 2017), for all states or by name,
            {"h": 0.05, "c": 0.5}; in evaluation the expectation.
        residual: every layer above the first adds its input, before dropout, to its output.
        highway: every layer above the first mixes its input and its output by a learned gate.
        init: the initialisation of the parameters.
        learn_initial_state: the default initial state is a parameter, initially 0.
        recompute: for long sequences, keep only the state of every so many steps for the backward pass and recompute
            the steps between; True for √T steps, with which memory in addition to x and y grows as √T. Takes another
            forward pass. False keeps everything.
        engine: "auto" or the name of an engine.
        device: as torch.nn.
        dtype: as torch.nn.

    Raises:
        InputError: an argument is invalid, or cannot be combined with another, here or in `forward`.
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
        nn.Module.__init__(self)  # not super(): the namesakes inherit from nn.RNNBase, whose __init__ must not run
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
        options.check_stack(self, self._units)
        self._positions = stack_positions(self.cell, input_size, self._units, proj_size, 1 + bidirectional)
        widths = [position.emitted for position in self._positions if not position.reverse]
        options.check_connections(name, residual, highway, widths)
        self._register_parameters(device, dtype)
        self.reset_parameters()
        assert self.cell.formula  # runs the formula once, here and not within a trace of the first call

    def _register_parameters(self, device: torch.device | str | int | None, dtype: torch.dtype | None) -> None:
        # On this module: submodules would show in the repr, and in hooks of code that replaces torch.nn's layers.
        for position in self._positions:
            register(
                self, position, self.cell, bias=self.bias, layer_norm=self.layer_norm,
                learned=self.learn_initial_state, device=device, dtype=dtype,
            )  # fmt: skip
        for layer in range(1, self.num_layers) if self.highway else ():
            register_highway(self, layer, self.output_size, device, dtype)

    @property
    def emitted_size(self) -> int:
        """Features of y of one direction: proj_size, or the units of the last layer without projection."""
        return self._positions[-1].emitted

    @property
    def output_size(self) -> int:
        """Features of y: twice `emitted_size` with two directions."""
        return self.emitted_size * (1 + self.bidirectional)

    def weights(self, suffix: str) -> Weights:
        """The parameters of one layer and direction, by their suffix, such as "_l0" or "_l1_reverse"."""
        return gather(self, suffix, self.cell)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Initialises all parameters by `init`; with torch's default to the same values as torch.nn from one seed."""
        for position in self._positions:
            fill(self, position, self.cell, self.init, learned=self.learn_initial_state, generator=generator)
        for layer in range(1, self.num_layers) if self.highway else ():
            fill_highway(self, layer, generator)

    def initial_state(self, rows: int) -> States:
        """The initial state of `rows` sequences: 0 or learned; one `State` per layer and direction, (rows, H)."""
        learned = self.learn_initial_state
        return tuple(initial_state(self, position, rows, learned=learned) for position in self._positions)

    @property
    def _dropout_rates(self) -> DropoutRates:
        return DropoutRates(self.dropout, self.locked_dropout, self.recurrent_dropout, self.weight_drop, self.zoneout)

    @property
    def _recurrent_weights(self) -> list[Tensor]:
        return [getattr(self, "weight_hh" + position.suffix) for position in self._positions]

    def draw_masks(self, rows: int, steps: int | None = None, generator: Generator | None = None) -> StackMasks:
        """Draws the random masks of a training pass, for the argument `masks` of `forward`.

        Masks that are passed for every window of a sequence apply to the whole sequence.

        Args:
            rows: B.
            steps: T, to draw the masks of single steps too (zoneout, unlocked dropout); if None, each call in training
                draws these.
            generator: on the device of the parameters; torch's global generator if None.
        """
        return self._dropout_rates.draw(self._positions, self._recurrent_weights, rows, steps, generator)

    def forward(
        self,
        x: Tensor | PackedSequence,
        state: Iterable[State] | None = None,
        *,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
        masks: StackMasks | None = None,
        return_gates: bool = False,
    ) -> Any:
        """Runs the stack.

        Args:
            x: (T, B, I), (B, T, I) with batch_first, (T, I) for one sequence alone, or a packed sequence.
            state: a `State` for each layer and direction, tensors (B, H); the initial state if None.
            lengths: int64 (B,), the steps of each row; y is 0 past them.
            resets: bool (T, B), (B, T) with batch_first or (T,) for one sequence alone, True where a row starts anew: y
                is that of each piece by itself, from the initial state, and no gradient crosses. `state` is that of a
                row's first piece, if no reset at step 0 replaces it.
            masks: the result of `draw_masks`, used in evaluation too; if None, drawn while training, as without resets.
            return_gates: whether to return the gates too.

        Returns:
            y like x with `output_size` features, and the state of each row at its end, in the second direction at its
            start, where a row with resets has run its first piece; with `return_gates` also the gates by name of each
            layer and direction, (T, B, H) each or in the form of x, 0 past a row's length.
        """
        padded = self._to_padded(x, lengths)
        rows = padded.x.shape[1]
        restarts = resets if resets is None else self._resets(resets, x, padded.x)
        states = self._initial_states(padded.x) if state is None else self._batched(tuple(state), rows, padded.single)
        check_dtypes(type(self).__name__, padded.x, states, self._recurrent_weights[0])
        if masks is None:
            masks = self.draw_masks(rows) if self.training else no_masks(self._positions)
        else:
            check_masks(type(self).__name__, masks, self._positions, self._recurrent_weights, *padded.x.shape[:2])
        y, results = self._run_layers(padded, states, masks, return_gates, restarts)
        last = tuple(result.state for result in results)
        if padded.single:
            last = tuple(state.map(lambda tensor: tensor[0]) for state in last)  # (H,) each
        if not return_gates:
            return padded.restore_packed(y), last
        return padded.restore_packed(y), last, tuple(padded.restore_gates(result.kept or Gates()) for result in results)

    def _to_padded(self, x: Tensor | PackedSequence, lengths: Tensor | None) -> PaddedInput:
        return to_padded(type(self).__name__, x, lengths, input_size=self.input_size, batch_first=self.batch_first)

    def _initial_states(self, x: Tensor) -> States:
        states = self.initial_state(x.shape[1])
        return states if self.learn_initial_state else like_input(states, x)

    def _resets(self, resets: Tensor, x: Tensor | PackedSequence, padded: Tensor) -> Resets:
        steps = padded_resets(type(self).__name__, resets, x, batch_first=self.batch_first)
        return Resets(steps, self._initial_states(padded))

    def _batched(self, states: States, rows: int, single: bool) -> States:
        sizes = [tuple(position.states.values()) for position in self._positions]
        return batched_states(type(self).__name__, states, self.cell, sizes, rows, single=single)

    def _run_layers(
        self, padded: PaddedInput, states: States, masks: StackMasks, return_gates: bool, resets: Resets | None
    ) -> tuple[Tensor, list[Result]]:
        x = padded.x
        results: list[Result] = []
        for layer in range(self.num_layers):
            # `below` before dropout: a residual or highway connection carries the input undropped.
            below, first = x, len(results)
            if layer:
                x = self._dropped(x, masks.between[layer - 1])
            for index in range(first, first + 1 + self.bidirectional):
                request = self._request(x, states[index], padded.lengths, masks, index, return_gates)
                results.append(self.run_layer(request if resets is None else resets.apply(request, index)))
            outputs = [result.y for result in results[first:]]
            x = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]  # (T, B, D·P)
            if layer:
                x = connect(self, layer, below, x)
        return x, results

    def run_layer(self, request: Request) -> Result:
        """Runs one layer in one direction; override it to observe layers, or to run them differently."""
        return run(request, self.engine)

    def _dropped(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """The input of a layer above the first: the output of the layer below after dropout."""
        if mask is not None:
            return x * mask
        # torch's operator draws the same numbers as torch.nn's layers from one seed; a locked mask was drawn already.
        return torch.dropout(x, self.dropout, self.training and not self.locked_dropout)

    def _request(
        self, x: Tensor, state: State, lengths: Tensor | None, masks: StackMasks, index: int, return_gates: bool
    ) -> Request:
        position = self._positions[index]
        weights, zoneout, drop = self.weights(position.suffix), masks.zoneout[index], masks.weight[index]
        # Masks of single steps are drawn here unless they were passed: T is known only now.
        if not zoneout and self.zoneout:
            zoneout = self._dropout_rates.zoneout_of(position, weights.hh, x, training=self.training)
        # The product with the mask is part of the graph, so that dropped weights get a gradient of 0.
        if drop is not None:
            weights = weights._replace(hh=weights.hh * drop)
        step_masks = Masks(masks.recurrent[index], zoneout)
        # √T steps per piece: the stored states and the states of one recomputed piece then need equal memory.
        steps = math.isqrt(len(x)) if self.recompute is True else int(self.recompute)
        return Request(self.cell, x, state, weights, lengths, position.reverse, step_masks, return_gates, steps)

    def explain(self, x: Tensor | PackedSequence, *, lengths: Tensor | None = None) -> Explanation:
        """Reports the engine of each layer and direction for an input like x, why, and what the engine keeps."""
        return explain_stack(self, self._to_padded(x, lengths))

    def stream(self, rows: int = 1, *, weights: str = "float32") -> Stream:
        """Prepares the stack to run `rows` sequences one step at a time; see `recurra.engine.stream.Stream`."""
        return stream_of(self, rows, weights)

    def extra_repr(self) -> str:
        """The arguments that are not at their defaults, as torch.nn prints them."""
        return ", ".join([f"{self.cell}", f"{self.input_size}", f"{self.hidden_size}", *self._non_default_arguments()])

    def _non_default_arguments(self) -> list[str]:
        return non_default_arguments(self, Recurrent.__init__)
