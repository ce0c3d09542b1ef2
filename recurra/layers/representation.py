"""The arguments that a recurrent layer prints."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

# The activation is part of the cell; the others do not change what the layer computes from its parameters.
_NOT_PRINTED = ("activation", "init", "device", "dtype")


def non_default_arguments(layer: Any, constructor: Callable[..., None]) -> list[str]:
    """The arguments of a layer that differ from their defaults, as `name=value`.

    Args:
        layer: a `Recurrent`, which holds each argument as an attribute.
        constructor: `Recurrent.__init__`, whose signature has the defaults.

    Returns:
        The arguments in the order of the signature, proj_size first, as torch.nn prints them.
    """
    parameters = inspect.signature(constructor).parameters.values()
    defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
    for name in _NOT_PRINTED:
        del defaults[name]
    # As the attributes hold them: zoneout is a rate per state, and a list of sizes implies num_layers.
    defaults["zoneout"] = {}
    if not isinstance(layer.hidden_size, int):
        defaults["num_layers"] = layer.num_layers
    names = sorted(defaults, key=lambda name: name != "proj_size")
    return [f"{name}={getattr(layer, name)}" for name in names if getattr(layer, name) != defaults[name]]
