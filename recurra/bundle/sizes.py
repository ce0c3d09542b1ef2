"""Whether a network can be the one whose weights a file holds, asked before memory or time goes into building it."""

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
    """The network that is being built has more numbers than the file."""


@contextmanager
def no_larger_than(path: Path, network: Any) -> Iterator[None]:
    """Inside, a network with more numbers than the file of weights is refused before it is filled.

    Parameters are counted as modules register them: their memory is not touched by then. Building the network on the
    meta device first would do too, but the first random number there costs 1.7 s of imports.

    Args:
        path: the safetensors file, of which the header alone is read.
        network: the options of the network in config.json, not yet checked.

    Raises:
        InputError: the file is missing or damaged, or the network is larger.
    """
    tensors, numbers = _counted(path)
    refused = InputError(
        f"{path}: holds {numbers:,} numbers in {tensors} tensors, but config.json describes more. Restore both files"
    )
    layers = network.get("num_layers") if isinstance(network, dict) else None
    if isinstance(layers, int) and layers > tensors:
        raise refused
    handle = register_module_parameter_registration_hook(_counter(numbers))
    try:
        yield
    except (_TooLarge, MemoryError):
        raise refused from None
    except InputError:
        raise
    except (RuntimeError, TypeError, OverflowError) as error:
        # A size beyond what torch can hold at all: more bytes than there is memory, more than 64 bits.
        if any(word in str(error).lower() for word in ("alloc", "overflow", "memory", "int64", "too large")):
            raise refused from error
        raise
    finally:
        handle.remove()


def _counter(most: int) -> Any:
    seen: dict[int, nn.Parameter] = {}  # kept, so that no other parameter gets the id of one that is gone
    thread, total = threading.get_ident(), 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal total
        if parameter is None or threading.get_ident() != thread:
            return
        if id(parameter) not in seen:  # a tied one is registered twice
            seen[id(parameter)] = parameter
            total += parameter.numel()
        if total > most:
            raise _TooLarge

    return count


def _counted(path: Path) -> tuple[int, int]:
    try:
        with safe_open(path, framework="pt") as file:
            shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"{path}: no such file: {path.parent} is not a model, or a part of it was lost") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: damaged or cut short ({error}). Restore the file, or train again") from None
    return len(shapes), sum(map(math.prod, shapes))
