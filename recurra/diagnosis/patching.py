"""Looking at a network without leaving a trace in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from recurra.diagnosis.shadow import SEQUENCES, SINGLE_STEPS
from recurra.errors import InputError
from recurra.training.generators import preserved_generators

Substitute = Callable[[str, nn.Module, tuple[Any, ...], dict[str, Any]], Any]
"""Gives what a recurrent module is to return in place of its own output, from its name, itself and what it is given."""


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; every module's own mode, and every random generator, as they were afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    with preserved_generators():
        network.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training


@contextmanager
def substituted(network: nn.Module, substitute: Substitute) -> Iterator[None]:
    """Has every recurrent module's output come from `substitute` inside, and its own `forward` back afterwards.

    Raises:
        InputError: the network has no recurrent module.
    """
    found = {
        name or type(network).__name__: module
        for name, module in network.named_modules()
        if isinstance(module, SEQUENCES + SINGLE_STEPS)
    }
    if not found:
        raise InputError(
            f"{type(network).__name__} has no recurrent layer to examine: expected recurra's, or torch.nn's RNN, LSTM, "
            "GRU or their cells, somewhere inside"
        )

    def standing_in(name: str, module: nn.Module) -> Callable[..., Any]:
        return lambda *args, **kwargs: substitute(name, module, args, kwargs)

    # In place of forward rather than by a hook behind it: the module's own run would be half of all the work.
    own = [(module, module.__dict__.get("forward")) for module in found.values()]
    try:
        for name, module in found.items():
            module.__dict__["forward"] = standing_in(name, module)
        yield
    finally:
        for module, forward in own:
            del module.__dict__["forward"]
            if forward is not None:
                module.__dict__["forward"] = forward


def call(network: nn.Module, batch: Any) -> Any:
    """The network's output on a batch: a tensor, a tuple of arguments, or a dictionary of them by name."""
    if isinstance(batch, dict):
        return network(**batch)
    # A packed sequence is a named tuple, and one argument.
    return network(*batch) if type(batch) in (tuple, list) else network(batch)
