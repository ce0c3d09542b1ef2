"""Compares the size of a network with a file of weights, before memory or time is spent on building the network."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from recurra.errors import InputError


class _TooLarge(Exception):
    """The network under construction has more elements than the file."""


@contextmanager
def no_larger_than(path: Path, network: Any) -> Iterator[None]:
    """Context in which a network with more elements than the file of weights is refused before it is initialised.

    Parameters are counted when modules register them, at which point their memory has not been touched. Building the
    network on the meta device first would also work, but the first random number there costs 1.7 s of imports.

    Args:
        path: the safetensors file; only its header is read.
        network: the options of the network in config.json, not yet checked.

    Raises:
        InputError: the file is missing or damaged, or the network is larger.
    """
    tensors, numbers = _count(path)
    too_large = InputError(
        f"{path}: holds {numbers:,} numbers in {tensors} tensors, but config.json describes more. Restore both files"
    )
    layers = network.get("num_layers") if isinstance(network, dict) else None
    if isinstance(layers, int) and layers > tensors:
        raise too_large
    handle = register_module_parameter_registration_hook(_counter(numbers))
    try:
        yield
    except (_TooLarge, MemoryError):
        raise too_large from None
    except InputError:
        raise
    except (RuntimeError, TypeError, OverflowError) as error:
        # A size that torch cannot represent or allocate: more than 64 bits, or more bytes than there is memory.
        if any(word in str(error).lower() for word in ("alloc", "overflow", "memory", "int64", "too large")):
            raise too_large from error
        raise
    finally:
        handle.remove()


def _counter(most: int) -> Any:
    """A hook that raises `_TooLarge` when this thread has registered parameters with more than `most` elements."""
    seen: dict[int, nn.Parameter] = {}  # keeps the parameters alive, so that no id is reused
    thread, total = threading.get_ident(), 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal total
        if parameter is None or threading.get_ident() != thread:
            return
        if id(parameter) not in seen:  # a tied parameter is registered twice
            seen[id(parameter)] = parameter
            total += parameter.numel()
        if total > most:
            raise _TooLarge

    return count


def _count(path: Path) -> tuple[int, int]:
    """The number of tensors in a file, and of their elements."""
    try:
        with safe_open(path, framework="pt") as file:
            shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"{path}: no such file: {path.parent} is not a model, or is incomplete") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: damaged or cut short ({error}). Restore the file, or train again") from None
    return len(shapes), sum(map(math.prod, shapes))
