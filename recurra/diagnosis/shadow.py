"""The recurrent modules of recurra and of torch.nn, each as a recurra layer with the same parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import nn

from recurra.engine import Request, Result
from recurra.layers import GRU, LSTM, RNN, GRUCell, LSTMCell, Recurrent, RNNCell, Step

SEQUENCES = (Recurrent, nn.RNN, nn.LSTM, nn.GRU)
"""Modules that run a sequence."""
SINGLE_STEPS = (Step, nn.RNNCell, nn.LSTMCell, nn.GRUCell)
"""Modules that take one step."""

RunLayer = Callable[[Request], Result]


def shadow(module: nn.Module, run_layer: RunLayer) -> Any:
    """A recurra layer that computes what the module does, on the module's own parameters, by way of `run_layer`.

    Args:
        module: one of `SEQUENCES` or `SINGLE_STEPS`; it is not changed.
        run_layer: runs each layer and direction.
    """
    if isinstance(module, Recurrent | Step):
        made = copy.copy(module)
        made.__dict__.pop("forward", None)  # of one that is stood in for
    else:
        made = _namesake(module)
        for name in made._parameters:
            # By attribute, so that a weight that a parametrisation computes is found too.
            made._parameters[name] = getattr(module, name)
        made.training = module.training
    made.__dict__["run_layer"] = run_layer
    return made


def forward(made: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The output of a shadow for what its module was called with."""
    return made.forward(*args, **kwargs)


def _namesake(module: nn.Module) -> Any:
    """A recurra layer of the same kind and sizes, its parameters without numbers."""
    empty: dict[str, Any] = {"bias": module.bias, "device": "meta"}
    if isinstance(module, nn.RNNCellBase):
        sizes = module.input_size, module.hidden_size
        if isinstance(module, nn.RNNCell):
            return RNNCell(*sizes, nonlinearity=module.nonlinearity, **empty)
        return (LSTMCell if isinstance(module, nn.LSTMCell) else GRUCell)(*sizes, **empty)
    assert isinstance(module, nn.RNNBase)
    sizes = module.input_size, module.hidden_size
    empty |= {"num_layers": module.num_layers, "batch_first": module.batch_first, "dropout": module.dropout}
    empty |= {"bidirectional": module.bidirectional}
    if isinstance(module, nn.RNN):
        return RNN(*sizes, nonlinearity=module.nonlinearity, **empty)
    if isinstance(module, nn.GRU):
        return GRU(*sizes, **empty)
    return LSTM(*sizes, proj_size=module.proj_size, **empty)
