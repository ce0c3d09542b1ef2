"""Copies of recurrent modules of recurra and torch.nn, as recurra layers that share the module's parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import nn

from recurra.engine import Request, Result
from recurra.layers import GRU, LSTM, RNN, GRUCell, LSTMCell, Recurrent, RNNCell, Step

SEQUENCE_MODULES = (Recurrent, nn.RNN, nn.LSTM, nn.GRU)
"""Modules that process a sequence."""
STEP_MODULES = (Step, nn.RNNCell, nn.LSTMCell, nn.GRUCell)
"""Modules that process one step."""

RunLayer = Callable[[Request], Result]


def unrolled_copy(module: nn.Module, run_layer: RunLayer) -> Any:
    """Returns a recurra layer that computes the same as the module with the same parameters, using `run_layer`.

    Args:
        module: one of `SEQUENCE_MODULES` or `STEP_MODULES`; it is not changed.
        run_layer: runs each layer and direction in place of the engine.
    """
    if isinstance(module, Recurrent | Step):
        copied = copy.copy(module)
        copied.__dict__.pop("forward", None)  # the replacement set by `patching.patched_forward`
    else:
        copied = _recurra_equivalent(module)
        for name in copied._parameters:
            # By attribute, so that a weight computed by a parametrisation is included.
            copied._parameters[name] = getattr(module, name)
        copied.training = module.training
    copied.__dict__["run_layer"] = run_layer
    return copied


def call_copy(copied: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Calls the copy with the arguments of the module's call."""
    return copied.forward(*args, **kwargs)


def _recurra_equivalent(module: nn.Module) -> Any:
    """A recurra layer of the same kind and sizes, with parameters on the meta device."""
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
