"""Temporary changes to a network: evaluation mode, and replaced `forward` methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from recurra.diagnosis.unrolled_copy import SEQUENCE_MODULES, STEP_MODULES
from recurra.errors import InputError
from recurra.training.generators import preserved_generators

Substitute = Callable[[str, nn.Module, tuple[Any, ...], dict[str, Any]], Any]
"""Returns the output of a recurrent module, from its name, the module, and the arguments of the call."""


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Context with the network in evaluation mode; restores the mode of every module and every random generator."""
    modes = [(module, module.training) for module in network.modules()]
    with preserved_generators():
        network.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training


@contextmanager
def patched_forward(network: nn.Module, substitute: Substitute) -> Iterator[None]:
    """Context in which `substitute` replaces the `forward` of every recurrent module; restores them on exit.

    Raises:
        InputError: the network has no recurrent module.
    """
    modules = {
        name or type(network).__name__: module
        for name, module in network.named_modules()
        if isinstance(module, SEQUENCE_MODULES + STEP_MODULES)
    }
    if not modules:
        raise InputError(
            f"{type(network).__name__} has no recurrent layer: expected layers of recurra, or torch.nn's RNN, LSTM, "
            "GRU or their cells"
        )

    def replacement(name: str, module: nn.Module) -> Callable[..., Any]:
        return lambda *args, **kwargs: substitute(name, module, args, kwargs)

    # `forward` is replaced, rather than a forward hook added, because a hook runs after the module's own forward pass,
    # which would double the work.
    originals = [(module, module.__dict__.get("forward")) for module in modules.values()]
    try:
        for name, module in modules.items():
            module.__dict__["forward"] = replacement(name, module)
        yield
    finally:
        for module, forward in originals:
            del module.__dict__["forward"]
            if forward is not None:
                module.__dict__["forward"] = forward


def call_network(network: nn.Module, batch: Any) -> Any:
    """Calls the network on a batch: a tensor, a tuple of arguments, or a dictionary of keyword arguments."""
    if isinstance(batch, dict):
        return network(**batch)
    # A packed sequence is a named tuple, but a single argument.
    return network(*batch) if type(batch) in (tuple, list) else network(batch)
