"""Converts recurra's namesakes to torch.nn's modules, for tools that accept only those."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import Any

import torch
from torch import nn

from recurra import cells
from recurra.cells import Cell
from recurra.errors import InputError

Device = torch.device | str | int | None
"""The device of parameters, as in torch.nn."""

MODES: dict[Cell, str] = {
    cells.Elman("relu"): "RNN_RELU",
    cells.Elman("tanh"): "RNN_TANH",
    cells.LSTM(): "LSTM",
    cells.GRU(): "GRU",
}
"""The cells of torch.nn and their `mode` there."""


class Interchange(nn.Module):
    """Base class of recurra.LSTM and the other namesakes: the conversion to torch.nn's module.

    A subclass returns the arguments of torch.nn's class in `_twin_arguments`, and options that torch.nn lacks in
    `_beyond_torch`.
    """

    cell: Cell
    _twin: type[nn.Module]
    """The class of torch.nn."""

    @abstractmethod
    def _twin_arguments(self) -> dict[str, Any]:
        """The arguments that make the module of torch.nn, by name."""

    @abstractmethod
    def _beyond_torch(self) -> list[str]:
        """The options in use that torch.nn lacks, as the repr prints them."""

    def to_torch(self) -> nn.Module:
        """The module of torch.nn that computes the same, on the same parameters: they are shared, not copied.

        For tools that replace or compile exactly torch.nn's classes: `torch.jit.script` (which calls this itself),
        `torch.ao.quantization.quantize_dynamic`, exporters.

        Raises:
            InputError: the layer uses an option, or an activation, that torch.nn lacks.
        """
        name, beyond = type(self).__name__, self._beyond_torch()
        if self.cell not in MODES:
            beyond = [f"the cell {self.cell}", *beyond]
        if beyond:
            raise InputError(
                f"{name}: torch.nn.{name} lacks {', '.join(beyond)}, so that the layer cannot be converted"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about dropout with one layer: the namesake has warned already
            twin = self._twin(**self._twin_arguments(), device="meta")
        for parameter in self._parameters:
            # By attribute, so that a weight computed by a parametrisation is passed on too.
            value = getattr(self, parameter)
            setattr(twin, parameter, nn.Parameter(value) if isinstance(value, torch.Tensor) else None)
        return twin.train(self.training)

    def __prepare_scriptable__(self) -> nn.Module:
        """What `torch.jit.script` compiles in place of this module."""
        return self.to_torch()

    def __setattr__(self, name: str, value: Any) -> None:
        # torch.ao.quantization sets this on each module that it visits, and then replaces exact classes only.
        if name == "qconfig":
            warnings.warn(
                f"{type(self).__name__}: torch.ao.quantization replaces torch.nn's own classes only, so that this "
                "layer stays in floating point: put layer.to_torch() in its place before quantising",
                stacklevel=2,
            )
        # Not RNNBase's __setattr__, which updates a list of weights: this class reads the weights at each call.
        nn.Module.__setattr__(self, name, value)
