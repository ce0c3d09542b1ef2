"""RNN, LSTM and GRU with the arguments, parameters, states and results of their torch.nn namesakes, and more.

Change `torch.nn.LSTM` to `recurra.LSTM`: state dicts load both ways, and one seed gives the same initial weights.
The further keywords are those of `Recurrent`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra import cells
from recurra.cells import Activation, Cell, State, States
from recurra.errors import InputError
from recurra.layers.masks import StackMasks
from recurra.layers.recurrent import Recurrent

# cuDNN's numbers for the cells it has.
_CUDNN_MODES: dict[Cell, int] = {cells.Elman("relu"): 0, cells.Elman("tanh"): 1, cells.LSTM(): 2, cells.GRU(): 3}


class _Namesake(Recurrent):
    """The door of torch.nn: states stacked over layers and directions, (L·D, B, H), in place of named tuples."""

    def __init__(self, cell: Cell | type[Cell], *args: Any, positional: tuple[str, ...], **kwargs: Any) -> None:
        name = type(self).__name__
        if len(args) > len(positional):
            raise InputError(f"{name}: {len(args)} arguments by position, at most {len(positional)}: {positional}")
        given = dict(zip(positional, args, strict=False))
        for twice in given.keys() & kwargs.keys():
            raise InputError(f"{name}: {twice} is given twice, by position and by name")
        given |= kwargs
        if isinstance(given.get("hidden_size"), Sequence):
            raise InputError(
                f"{name}: hidden_size={given['hidden_size']}: torch's door stacks the states of all layers in one "
                f"tensor, so they are of one size. Use recurra.Recurrent, whose states stay apart"
            )
        super().__init__(cell, **given)

    # torch calls the second argument hx, `Recurrent` state: a caller by name must find torch's.
    def forward(
        self,
        x: Any,
        hx: Any = None,
        *,
        lengths: Tensor | None = None,
        masks: StackMasks | None = None,
        return_gates: bool = False,
    ) -> Any:
        """Runs the layers as the torch.nn namesake does.

        Args:
            x: (T, B, I), (B, T, I) with batch_first, (T, I) for one sequence alone, or a packed sequence.
            hx: the initial state, (L·D, B, H), or (h, c) for LSTM; without B for one sequence alone.
            lengths: int64 (B,), the steps of each row; y is 0 past them.
            masks: as `Recurrent.forward`.
            return_gates: as `Recurrent.forward`.

        Returns:
            y and the last state, as torch.nn's; with `return_gates` also the gates, as `Recurrent.forward`.
        """
        single = isinstance(x, Tensor) and x.dim() == 2
        state = None if hx is None else self._from_torch(hx, single)
        y, last, *gates = super().forward(x, state, lengths=lengths, masks=masks, return_gates=return_gates)
        stacked = tuple(torch.stack(tensors) for tensors in zip(*last, strict=True))  # (L·D, B, H) each
        return (y, stacked if len(stacked) > 1 else stacked[0], *gates)

    def _from_torch(self, hx: Any, single: bool) -> States:
        names, rank = self.cell.states, 2 if single else 3
        parts = hx if len(names) > 1 else (hx,)
        if not isinstance(parts, tuple) or len(parts) != len(names):
            raise InputError(f"{type(self).__name__}: hx must be ({', '.join(names)}), got {type(hx).__name__}")
        layers = self.num_layers * (1 + self.bidirectional)
        for name, tensor in zip(names, parts, strict=True):
            if tensor.dim() != rank or tensor.shape[0] != layers:
                shape = f"({layers}, {'' if single else 'batch, '}{self.hidden_size})"
                raise InputError(f"{type(self).__name__}: {name} of hx is {tuple(tensor.shape)}, expected {shape}")
        pieces = zip(*(tensor.unbind(0) for tensor in parts), strict=True)
        return tuple(State(**dict(zip(names, piece, strict=True))) for piece in pieces)

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters as torch.nn lists them: a list a layer and direction."""
        names = ("ih", "hh", "b_ih", "b_hh", "hr")
        found = [[getattr(self.weights(place.suffix), name) for name in names] for place in self._places]
        return [[tensor for tensor in layer if tensor is not None] for layer in found]

    def flatten_parameters(self) -> None:
        """Lays each layer's parameters side by side in memory, which cuDNN wants; nothing to do elsewhere."""
        weights = self.all_weights
        if self.layer_norm or self.cell not in _CUDNN_MODES or not torch.backends.cudnn.is_acceptable(weights[0][0]):
            return
        with torch.no_grad():
            for layer in weights:
                torch._cudnn_rnn_flatten_weight(
                    layer, 4 if self.bias else 2, layer[0].shape[1], _CUDNN_MODES[self.cell], self._units[0],
                    self.proj_size, 1, False, False,
                )  # fmt: skip

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        moved = super()._apply(fn, recurse)
        self.flatten_parameters()
        return moved

    def extra_repr(self) -> str:
        """As torch.nn prints its layer."""
        return ", ".join([f"{self.input_size}", f"{self.hidden_size}", *self._changed()])


class RNN(_Namesake):
    """h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), as `torch.nn.RNN`, with any f.

    Args:
        *args: input_size, hidden_size, num_layers, nonlinearity, bias, batch_first, dropout, bidirectional.
        nonlinearity: the name of an activation ("tanh", "relu", "gelu", …) or a function.
        **kwargs: the arguments of torch.nn.RNN and of `Recurrent` by name.
    """

    def __init__(self, *args: Any, nonlinearity: str | Activation = "tanh", **kwargs: Any) -> None:
        if len(args) > 3:
            nonlinearity, args = args[3], args[:3] + args[4:]
        order = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
        if "activation" in kwargs:
            raise InputError(f"RNN: activation={kwargs['activation']!r} is called nonlinearity here, as in torch.nn")
        super().__init__(cells.Elman(nonlinearity), *args, positional=order, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(_Namesake):
    """Long short-term memory as `torch.nn.LSTM`.

    Args:
        *args: input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size.
        **kwargs: the arguments of torch.nn.LSTM and of `Recurrent` by name.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        order = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
        super().__init__(cells.LSTM, *args, positional=(*order, "proj_size"), **kwargs)


class GRU(_Namesake):
    """The gated recurrent unit (reset after the product) as `torch.nn.GRU`.

    Args:
        *args: input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional.
        **kwargs: the arguments of torch.nn.GRU and of `Recurrent` by name.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        order = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
        super().__init__(cells.GRU, *args, positional=order, **kwargs)
