"""RNN, LSTM and GRU with the arguments, parameters, states and results of their torch.nn namesakes, and more options.

Replace `torch.nn.LSTM` by `recurra.LSTM`: state dicts load in both directions, and the same seed gives the same initial
weights. The further keywords are those of `Recurrent`.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from recurra import cells
from recurra.cells import Activation, Cell, State, States
from recurra.errors import InputError, InputShapeError, InputTypeError
from recurra.layers.checks import check_tensor
from recurra.layers.interchange import Device
from recurra.layers.masks import StackMasks
from recurra.layers.torch_base import TorchBase


# Attributes of RNNBase are properties here, and hidden_size may be a list in `Recurrent`.
class _TorchCompatible(TorchBase, nn.RNNBase):  # type: ignore[misc, override]
    """The interface of torch.nn: states stacked over layers and directions, (L·D, B, H), in place of named tuples.

    The namesakes are instances of `nn.RNNBase`, for code that tests for it before it initialises or flattens weights.
    They are not instances of `nn.LSTM`, which torch.compile refuses to trace.
    """

    def __init__(self, cell: Cell | type[Cell], input_size: int, hidden_size: Any, **settings: Any) -> None:
        name = type(self).__name__
        if isinstance(hidden_size, list | tuple):
            raise InputTypeError(
                f"{name}: hidden_size={hidden_size}: torch.nn stacks the states of all layers in one tensor, "
                "so that they must be of one size. Use recurra.Recurrent, which keeps the state of each layer separate"
            )
        super().__init__(cell, input_size, hidden_size, **settings)
        if self.dropout and self.num_layers == 1:
            warnings.warn(
                f"{name}: dropout={self.dropout} acts between layers, but num_layers=1: nothing is dropped. Use "
                "2 layers or more, or a torch.nn.Dropout after the layer",
                stacklevel=3,
            )

    # The names of torch.nn's arguments, which callers may use as keywords.
    def forward(
        self,
        input: Any,  # noqa: A002
        hx: Any = None,
        *,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
        masks: StackMasks | None = None,
        return_gates: bool = False,
    ) -> Any:
        """Runs the layers as the torch.nn namesake does.

        Args:
            input: (T, B, I), (B, T, I) with batch_first, (T, I) for one sequence alone, or a packed sequence.
            hx: the initial state, (L·D, B, H), or (h, c) for LSTM; without B for one sequence alone.
            lengths: int64 (B,), the steps of each row; y is 0 past them.
            resets: as `Recurrent.forward`.
            masks: as `Recurrent.forward`.
            return_gates: as `Recurrent.forward`.

        Returns:
            y and the last state, as torch.nn's; with `return_gates` also the gates, as `Recurrent.forward`.
        """
        single = isinstance(input, Tensor) and input.dim() == 2
        state = None if hx is None else self._from_torch(hx, single)
        y, last, *gates = super().forward(
            input, state, lengths=lengths, resets=resets, masks=masks, return_gates=return_gates
        )
        stacked = tuple(torch.stack(tensors) for tensors in zip(*last, strict=True))  # (L·D, B, H) each
        return (y, stacked if len(stacked) > 1 else stacked[0], *gates)

    def _from_torch(self, hx: Any, single: bool) -> States:
        name, names, rank = type(self).__name__, self.cell.states, 2 if single else 3
        parts = hx if len(names) > 1 else (hx,)
        if not isinstance(parts, tuple | list):
            raise InputTypeError(f"{name}: hx must be ({', '.join(names)}), not a {type(hx).__name__}")
        if len(parts) != len(names):
            raise InputShapeError(f"{name}: hx holds {len(parts)} tensors, expected ({', '.join(names)})")
        layers = self.num_layers * (1 + self.bidirectional)
        for state, tensor in zip(names, parts, strict=True):
            check_tensor(name, f"{state} of hx", tensor)
            if tensor.dim() != rank or tensor.shape[0] != layers:
                size = self._positions[0].states[state]
                shape = f"({layers}, {'' if single else 'batch, '}{size})"
                raise InputShapeError(f"{name}: {state} of hx is {tuple(tensor.shape)}, expected {shape}")
        # From (L·D, B, H) per state to one `State` per layer and direction.
        pieces = zip(*(tensor.unbind(0) for tensor in parts), strict=True)
        return tuple(State(**dict(zip(names, piece, strict=True))) for piece in pieces)

    def extra_repr(self) -> str:
        """As torch.nn prints its layer."""
        return ", ".join([f"{self.input_size}", f"{self.hidden_size}", *self._non_default_arguments()])


class RNN(_TorchCompatible):
    """h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), as `torch.nn.RNN`, with any f.

    Args:
        input_size: features of x, I.
        hidden_size: units, H.
        num_layers: layers on top of each other.
        nonlinearity: the name of an activation ("tanh", "relu", "gelu", …) or a function.
        bias: whether b_ih and b_hh exist.
        batch_first: x and y as (B, T, features) instead of (T, B, features).
        dropout: the share of y set to 0 between layers while training.
        bidirectional: a second layer runs from each row's end to its start.
        proj_size: as `Recurrent`; torch.nn.RNN has none.
        device: as torch.nn.
        dtype: as torch.nn.
        **more: the further arguments of `Recurrent` by name.
    """

    _twin = nn.RNN

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str | Activation = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Device = None,
        dtype: torch.dtype | None = None,
        **more: Any,
    ) -> None:
        if "activation" in more:
            raise InputError(f"RNN: activation={more['activation']!r} is called nonlinearity here, as in torch.nn")
        super().__init__(
            cells.Elman(nonlinearity), input_size, hidden_size, num_layers=num_layers, bias=bias,
            batch_first=batch_first, dropout=dropout, bidirectional=bidirectional, proj_size=proj_size,
            device=device, dtype=dtype, **more,
        )  # fmt: skip
        self.nonlinearity = nonlinearity


class LSTM(_TorchCompatible):
    """Long short-term memory as `torch.nn.LSTM`.

    Args:
        input_size: features of x, I.
        hidden_size: units, H.
        num_layers: layers on top of each other.
        bias: whether b_ih and b_hh exist.
        batch_first: x and y as (B, T, features) instead of (T, B, features).
        dropout: the share of y set to 0 between layers while training.
        bidirectional: a second layer runs from each row's end to its start.
        proj_size: P > 0 emits W_hr h of size P, and feeds that back.
        device: as torch.nn.
        dtype: as torch.nn.
        **more: the further arguments of `Recurrent` by name.
    """

    _twin = nn.LSTM
    # Methods of nn.LSTM for a state that is a tuple.
    get_expected_cell_size = nn.LSTM.get_expected_cell_size
    check_forward_args = nn.LSTM.check_forward_args  # type: ignore[assignment]
    permute_hidden = nn.LSTM.permute_hidden  # type: ignore[assignment]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Device = None,
        dtype: torch.dtype | None = None,
        **more: Any,
    ) -> None:
        super().__init__(
            cells.LSTM, input_size, hidden_size, num_layers=num_layers, bias=bias,
            batch_first=batch_first, dropout=dropout, bidirectional=bidirectional, proj_size=proj_size,
            device=device, dtype=dtype, **more,
        )  # fmt: skip


class GRU(_TorchCompatible):
    """The gated recurrent unit (reset after the product) as `torch.nn.GRU`.

    Args:
        input_size: features of x, I.
        hidden_size: units, H.
        num_layers: layers on top of each other.
        bias: whether b_ih and b_hh exist.
        batch_first: x and y as (B, T, features) instead of (T, B, features).
        dropout: the share of y set to 0 between layers while training.
        bidirectional: a second layer runs from each row's end to its start.
        proj_size: as `Recurrent`; torch.nn.GRU has none.
        device: as torch.nn.
        dtype: as torch.nn.
        **more: the further arguments of `Recurrent` by name.
    """

    _twin = nn.GRU

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Device = None,
        dtype: torch.dtype | None = None,
        **more: Any,
    ) -> None:
        super().__init__(
            cells.GRU, input_size, hidden_size, num_layers=num_layers, bias=bias,
            batch_first=batch_first, dropout=dropout, bidirectional=bidirectional, proj_size=proj_size,
            device=device, dtype=dtype, **more,
        )  # fmt: skip
