"""The interface of `torch.nn.RNNBase` that other code uses: the mode, and lists of weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import RecurraError
from recurra.layers.interchange import MODES, Interchange
from recurra.layers.recurrent import Recurrent

# cuDNN's numbers of its cells.
_CUDNN_MODES = {"RNN_RELU": 0, "RNN_TANH": 1, "LSTM": 2, "GRU": 3}
_OWN_OPTIONS = ("locked_dropout", "layer_norm", "recurrent_dropout", "weight_drop", "zoneout", "residual", "highway")


class TorchBase(Interchange, Recurrent):
    """The attributes of `nn.RNNBase`, computed from the parameters at each access, so that they are never stale."""

    # Properties that torch.jit's compiler must not compile.
    __jit_unused_properties__ = (
        *("all_weights", "mode", "emitted_size", "output_size"),
        *("_dropout_rates", "_recurrent_weights", "_flat_weights", "_flat_weights_names", "_all_weights"),
    )

    @property
    def mode(self) -> str:
        """The cell's name in torch.nn: "LSTM", "GRU", "RNN_TANH", "RNN_RELU"; "RNN_GELU" and so on for other cells."""
        if self.cell in MODES:
            return MODES[self.cell]
        activation = getattr(self.cell, "activation", "")
        name = activation if isinstance(activation, str) else getattr(activation, "__name__", type(activation).__name__)
        return f"{type(self).__name__}_{name.upper()}"

    @property
    def _all_weights(self) -> list[list[str]]:
        names = ["weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if self.bias else ())]
        names += ["weight_hr"] if self.proj_size else []
        return [[name + position.suffix for name in names] for position in self._positions]

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters as torch.nn lists them: a list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights(self) -> list[Tensor]:
        return [tensor for tensors in self.all_weights for tensor in tensors]

    @_flat_weights.setter
    def _flat_weights(self, weights: list[Tensor]) -> None:
        # Code that replaces a weight (weight drop, hypernetworks) sets this list to the present attributes.
        if len(weights) != len(self._flat_weights) or any(
            one is not other for one, other in zip(weights, self._flat_weights, strict=True)
        ):
            raise RecurraError(
                f"{type(self).__name__}: _flat_weights must contain the layer's present parameters. To replace "
                "a parameter, use setattr(layer, 'weight_hh_l0', tensor)"
            )

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:  # noqa: A002
        """The shape of h in `hx`, as torch.nn computes it for code that creates the initial state."""
        rows = input.shape[0 if self.batch_first else 1] if batch_sizes is None else int(batch_sizes[0])
        return len(self._positions), rows, self._positions[0].states["h"]

    def _weights_have_changed(self) -> bool:
        return False  # no list of weights is kept that could be out of date

    def _init_flat_weights(self) -> None:
        self.flatten_parameters()

    def flatten_parameters(self) -> None:
        """Makes the parameters of each layer contiguous in memory for cuDNN; has no effect on other devices."""
        if self.layer_norm or self.mode not in _CUDNN_MODES:
            return
        # A weight may be missing while other code replaces it.
        weights = [[getattr(self, name, None) for name in names] for names in self._all_weights]
        flat = [tensor for layer in weights for tensor in layer]
        if not all(isinstance(one, nn.Parameter) and torch.backends.cudnn.is_acceptable(one) for one in flat):
            return
        with torch.no_grad():
            for layer in self.all_weights:
                torch._cudnn_rnn_flatten_weight(
                    layer, len(layer), layer[0].shape[1], _CUDNN_MODES[self.mode], self._units[0],
                    self.proj_size, 1, False, False,
                )  # fmt: skip

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        moved = nn.Module._apply(self, fn, recurse)
        self.flatten_parameters()
        return moved

    def _replicate_for_data_parallel(self) -> Any:
        return nn.Module._replicate_for_data_parallel(self)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()  # RNNBase's __getstate__ deletes a list that this class lacks

    def __setstate__(self, state: dict[str, Any]) -> None:
        nn.Module.__setstate__(self, state)

    def _twin_arguments(self) -> dict[str, Any]:
        names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
        arguments = {name: getattr(self, name) for name in names}
        if self.proj_size:
            arguments["proj_size"] = self.proj_size
        if self.mode.startswith("RNN"):
            arguments["nonlinearity"] = self.mode.removeprefix("RNN_").lower()
        return arguments

    def _beyond_torch(self) -> list[str]:
        options = {name: getattr(self, name) for name in (*_OWN_OPTIONS, "learn_initial_state")}
        beyond = [f"{name}={value}" for name, value in options.items() if value]
        return beyond + ([f"proj_size={self.proj_size}"] if self.proj_size and self.mode != "LSTM" else [])
