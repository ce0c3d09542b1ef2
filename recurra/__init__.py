"""recurra: recurrent networks for PyTorch.

Exports layers and cells, truncated backpropagation and diagnosis for user-defined scripts, and `train` and `load` for
whole tasks. Names are imported at their first use: `import recurra` imports neither PyTorch nor a plotting library.
"""

from __future__ import annotations

from importlib import import_module

# Type checkers treat the name as `typing.TYPE_CHECKING`, whose import would take most of the time of this module's.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from recurra.api import load, train
    from recurra.cells import Cell, Gates, Initialisation, State, count_parameters, find_cell
    from recurra.diagnosis.diagnose import diagnose
    from recurra.errors import InputError, RecurraError
    from recurra.layers import (
        GRU,
        LSTM,
        RNN,
        Attention,
        ConditionalRandomField,
        GRUCell,
        LockedDropout,
        LSTMCell,
        Readout,
        Recurrent,
        RNNCell,
        StackMasks,
        Step,
        explain,
        from_keras,
        to_keras,
    )
    from recurra.training import truncated

__version__ = "0.1.0"

_HOMES = {
    "recurra.api": ("load", "train"),
    "recurra.cells": ("Cell", "Gates", "Initialisation", "State", "count_parameters", "find_cell"),
    "recurra.diagnosis": ("diagnose",),
    "recurra.errors": ("InputError", "RecurraError"),
    "recurra.layers": (
        *("GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"),
        *("Attention", "ConditionalRandomField", "LockedDropout", "Readout", "Recurrent", "StackMasks", "Step"),
        *("explain", "from_keras", "to_keras"),
    ),
    "recurra.training": ("truncated",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Attention",
    "Cell",
    "ConditionalRandomField",
    "GRUCell",
    "Gates",
    "Initialisation",
    "InputError",
    "LSTMCell",
    "LockedDropout",
    "RNNCell",
    "Readout",
    "RecurraError",
    "Recurrent",
    "StackMasks",
    "State",
    "Step",
    "__version__",
    "count_parameters",
    "diagnose",
    "explain",
    "find_cell",
    "from_keras",
    "load",
    "to_keras",
    "train",
    "truncated",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'recurra' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
