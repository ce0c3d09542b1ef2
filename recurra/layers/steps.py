"""One step of any cell as a module, and the namesakes of torch.nn's `RNNCell`, `LSTMCell` and `GRUCell`.

State dicts load in both directions, and the same seed gives the same initial weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor, nn

from recurra import cells
from recurra.cells import Activation, Cell, Initialisation, State, Weights, find_cell
from recurra.engine import Request, Result, run
from recurra.errors import InputError, InputShapeError, InputTypeError
from recurra.layers import options
from recurra.layers.checks import check_is_state, check_state, check_tensor
from recurra.layers.dtypes import check_dtypes, like_input
from recurra.layers.interchange import MODES, Device, Interchange
from recurra.layers.parameters import LayerPosition, fill, gather, initial_state, register, state_widths
from recurra.layers.scripting import NotScriptable


class Step(NotScriptable, nn.Module):
    """One step of a cell, for user-defined loops: the next state from x (B, I) and a state.

    Parameters are `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`, and others as in `Recurrent` without the suffix.
    Dropout and zoneout act on a whole sequence: they belong to the loop.

    Args:
        cell: a name of the table, "module:Class", a `Cell` or its class.
        input_size: features of x, I.
        hidden_size: units, H.
        bias: whether b_ih and b_hh exist.
        activation: the cell's option of that name, for a cell given by name or class.
        layer_norm: as in `Recurrent`.
        init: the initialisation of the parameters.
        device: as torch.nn.
        dtype: as torch.nn.

    Raises:
        InputError: an argument that does not fit, here or in `forward`.
    """

    _fewest = 1
    """The minimum number of features and of units."""

    def __init__(
        self,
        cell: str | Cell | type[Cell],
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        activation: str | Activation | None = None,
        layer_norm: bool = False,
        init: Initialisation | None = None,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        nn.Module.__init__(
            self
        )  # not super(): the namesakes inherit from torch.nn's cells, whose __init__ must not run
        name = type(self).__name__
        options.check_count(name, "input_size", input_size, self._fewest)
        options.check_count(name, "hidden_size", hidden_size, self._fewest)
        if layer_norm:
            options.check_layer_norm(name, (hidden_size,))
        self.cell = find_cell(cell, **({} if activation is None else {"activation": activation}))
        self.input_size, self.hidden_size, self.bias, self.layer_norm = input_size, hidden_size, bias, layer_norm
        options.check_initialisation(name, init)
        self.init = init or Initialisation()
        self._position = LayerPosition(0, "", input_size, hidden_size, 0, state_widths(self.cell, hidden_size, 0))
        register(self, self._position, self.cell, bias=bias, layer_norm=layer_norm, device=device, dtype=dtype)
        if not bias:
            # As in torch.nn's cells, where code reads `cell.bias_ih is None`.
            self.register_parameter("bias_ih", None)
            self.register_parameter("bias_hh", None)
        self.reset_parameters()
        assert self.cell.formula  # runs the formula once, so that a wrong name of a gate raises an error here

    def weights(self) -> Weights:
        """The parameters."""
        return gather(self, "", self.cell)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Initialises the parameters by `init`; with torch's default to the same values as torch.nn from one seed."""
        fill(self, self._position, self.cell, self.init, learned=False, generator=generator)

    def initial_state(self, rows: int) -> State:
        """The initial state of `rows` sequences: 0, (rows, H)."""
        return initial_state(self, self._position, rows)

    def forward(self, x: Tensor, state: State | None = None) -> Any:
        """The next state, a `State` of tensors (B, H).

        Args:
            x: (B, I), or (I,) for one row alone.
            state: tensors (B, H), or (H,) for one row alone; 0 where None.
        """
        name = type(self).__name__
        check_tensor(name, "x", x)
        if state is not None:
            check_is_state(name, state)
        single = x.dim() == 1
        if x.dim() not in (1, 2) or x.shape[-1] != self.input_size:
            I = self.input_size
            raise InputShapeError(f"{name}: x is {tuple(x.shape)}, expected (batch, {I}), or ({I},) for one row alone")
        rows = x[None] if single else x  # (B, I)
        if state is None:
            (state,) = like_input((self.initial_state(len(rows)),), rows)
        elif single:
            state = state.map(lambda tensor: tensor[None])
        check_state(name, state, self.cell, tuple(self._position.states.values()), len(rows))
        check_dtypes(name, rows, (state,), self.weights().hh)
        # A sequence of one step, (1, B, I).
        new = self.run_layer(Request(self.cell, rows[None], state, self.weights())).state
        return new.map(lambda tensor: tensor[0]) if single else new

    def run_layer(self, request: Request) -> Result:
        """Runs the step without compilation; override it as `Recurrent.run_layer`."""
        return run(request, "unroll")

    def extra_repr(self) -> str:
        """The cell and the sizes."""
        return f"{self.cell}, {self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class _TorchCompatibleCell(Interchange, Step):
    """The interface of torch.nn: the state as a tensor, or a tuple of them, in place of a named tuple."""

    _fewest = 0  # torch.nn's cells may have no features and no units

    # The names of torch.nn's arguments, which callers may use as keywords.
    def forward(self, input: Tensor, hx: Any = None) -> Any:  # noqa: A002
        """The next state as the torch.nn namesake returns it.

        Args:
            input: (B, I), or (I,) for one row alone.
            hx: h (B, H), or (h, c) for LSTM; without B for one row alone; 0 where None.
        """
        if hx is None:
            return self._to_torch(super().forward(input))
        name, names = type(self).__name__, self.cell.states
        # torch.nn passes a state of one tensor without a tuple.
        parts = (hx,) if isinstance(hx, Tensor) and len(names) == 1 else hx
        if isinstance(parts, Tensor):
            raise InputTypeError(f"{name}: hx holds 1 tensors, expected ({', '.join(names)})")
        if not isinstance(parts, tuple | list):
            expected = f"({', '.join(names)})" if len(names) > 1 else "a tensor"
            raise InputTypeError(f"{name}: hx must be {expected}, not a {type(hx).__name__}")
        if len(parts) != len(names):
            raise InputShapeError(f"{name}: hx holds {len(parts)} tensors, expected ({', '.join(names)})")
        return self._to_torch(super().forward(input, State(**dict(zip(names, parts, strict=True)))))

    def _to_torch(self, state: State) -> Any:
        return tuple(state) if len(state) > 1 else state.h

    def _twin_arguments(self) -> dict[str, Any]:
        return {"input_size": self.input_size, "hidden_size": self.hidden_size, "bias": self.bias}

    def _beyond_torch(self) -> list[str]:
        return ["layer_norm=True"] if self.layer_norm else []

    def extra_repr(self) -> str:
        """As torch.nn prints its cell."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_TorchCompatibleCell, nn.RNNCell):
    """h' = f(W_ih x + b_ih + W_hh h + b_hh), as `torch.nn.RNNCell`, with any f.

    Args:
        input_size: features of x, I.
        hidden_size: units, H.
        bias: whether b_ih and b_hh exist.
        nonlinearity: the name of an activation or a function.
        device: as torch.nn.
        dtype: as torch.nn.
        **more: the further arguments of `Step` by name.
    """

    _twin = nn.RNNCell

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str | Activation = "tanh",
        device: Device = None,
        dtype: torch.dtype | None = None,
        **more: Any,
    ) -> None:
        if "activation" in more:
            raise InputError("RNNCell: activation= is called nonlinearity here, as in torch.nn")
        cell = cells.Elman(nonlinearity)
        super().__init__(cell, input_size, hidden_size, bias, device=device, dtype=dtype, **more)
        self.nonlinearity = nonlinearity  # type: ignore[assignment]  # a function too, beyond torch

    def _twin_arguments(self) -> dict[str, Any]:
        return {**super()._twin_arguments(), "nonlinearity": MODES[self.cell].removeprefix("RNN_").lower()}

    def extra_repr(self) -> str:
        """As torch.nn prints its cell."""
        changed = "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}"
        return super().extra_repr() + changed


class LSTMCell(_TorchCompatibleCell, nn.LSTMCell):
    """One step of long short-term memory as `torch.nn.LSTMCell`: (h, c) of x and (h, c).

    Args:
        input_size: features of x, I.
        hidden_size: units, H.
        bias: whether b_ih and b_hh exist.
        device: as torch.nn.
        dtype: as torch.nn.
        **more: the further arguments of `Step` by name.
    """

    _twin = nn.LSTMCell

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
        **more: Any,
    ) -> None:
        super().__init__(cells.LSTM, input_size, hidden_size, bias, device=device, dtype=dtype, **more)


class GRUCell(_TorchCompatibleCell, nn.GRUCell):
    """One step of the gated recurrent unit (reset after the product) as `torch.nn.GRUCell`: h' of x and h.

    Args:
        input_size: features of x, I.
        hidden_size: units, H.
        bias: whether b_ih and b_hh exist.
        device: as torch.nn.
        dtype: as torch.nn.
        **more: the further arguments of `Step` by name.
    """

    _twin = nn.GRUCell

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
        **more: Any,
    ) -> None:
        super().__init__(cells.GRU, input_size, hidden_size, bias, device=device, dtype=dtype, **more)
