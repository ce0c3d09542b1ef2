"""recurra: sequence modelling with recurrent networks.

Layers and cells for PyTorch, and `train` and `load` for whole tasks. Names are imported when they are first used, so
that `import recurra` brings neither a server nor a plotting library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra.api import load, train
    from recurra.cells import Cell, Gates, Initialisation, State, find_cell
    from recurra.errors import InputError, RecurraError
    from recurra.layers import GRU, LSTM, RNN, LockedDropout, Readout, Recurrent

__version__ = "0.1.0"

_HOMES = {
    "recurra.api": ("load", "train"),
    "recurra.cells": ("Cell", "Gates", "Initialisation", "State", "find_cell"),
    "recurra.errors": ("InputError", "RecurraError"),
    "recurra.layers": ("GRU", "LSTM", "RNN", "LockedDropout", "Readout", "Recurrent"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Cell",
    "Gates",
    "Initialisation",
    "InputError",
    "LockedDropout",
    "Readout",
    "RecurraError",
    "Recurrent",
    "State",
    "__version__",
    "find_cell",
    "load",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'recurra' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
