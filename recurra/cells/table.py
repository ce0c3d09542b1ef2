"""The table of cells by name. A new cell is one file and one line here, which layers, commands, docs and tests read."""

from __future__ import annotations

import dataclasses
import importlib
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recurra.cells import builtin_code
from recurra.cells.activations import ACTIVATIONS
from recurra.cells.cell import Cell
from recurra.errors import InputError, InputTypeError, nearest

# The name of each cell, which is the name of its file, and its class.
_CLASSES = {
    "elman": "Elman",
    "lstm": "LSTM",
    "peephole_lstm": "PeepholeLSTM",
    "coupled_lstm": "CoupledLSTM",
    "slstm": "SLSTM",
    "min_lstm": "MinLSTM",
    "gru": "GRU",
    "cho_gru": "ChoGRU",
    "minimal_gated_unit": "MinimalGatedUnit",
    "min_gru": "MinGRU",
    "indrnn": "IndRNN",
    "orthogonal_rnn": "OrthogonalRNN",
    "antisymmetric_rnn": "AntisymmetricRNN",
    "gated_antisymmetric_rnn": "GatedAntisymmetricRNN",
}

CELLS: dict[str, type[Cell]] = {
    name: getattr(importlib.import_module(f"recurra.cells.{name}"), kind) for name, kind in _CLASSES.items()
}
builtin_code.remember(CELLS.values(), [ACTIVATIONS])

# Other common names of cells, with the options that they imply.
ALIASES: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn": ("elman", {}),
    "rnn_tanh": ("elman", {}),
    "rnn_relu": ("elman", {"activation": "relu"}),
    "simple_rnn": ("elman", {}),
    "vanilla_rnn": ("elman", {}),
    "vanilla": ("elman", {}),
    "mgu": ("minimal_gated_unit", {}),
}


def find_cell(which: str | Cell | type[Cell], **options: Any) -> Cell:
    """Returns the cell for a name of the table, "module:Class", a class or a cell.

    Args:
        which: the cell. Names are case-insensitive, "-" is equal to "_", and `ALIASES` are names too. "module:Class"
            imports the module, also from the current folder.
        **options: fields of the cell, such as activation="relu".

    Raises:
        InputError: no such cell, module or option, an error in the module, an option of the wrong type.
    """
    if isinstance(which, Cell):
        if options:
            raise InputError(f"{which} is an instance already: pass its options {sorted(options)} to its class")
        return which
    if not isinstance(which, str | type):
        raise InputTypeError(
            f"a cell is a {type(which).__name__}, expected a name such as 'lstm', a recurra.Cell or its class"
        )
    if isinstance(which, str) and ":" not in which:
        name, implied = ALIASES.get(_plain(which), (_plain(which), {}))
        options = {**implied, **options}
        kind: Any = CELLS.get(name) or _imported(which)
    else:
        kind = which if isinstance(which, type) else _imported(which)
    if not (isinstance(kind, type) and issubclass(kind, Cell)):
        raise InputError(f"{which!r} is not a recurra.Cell: derive it from recurra.Cell and define its gates and step")
    known = option_names(kind)
    for option in options:
        if option not in known:
            has = nearest(option, known) if known else "It has no options."
            raise InputError(f"the cell {cell_name(kind)} has no option {option!r}. {has}")
    _check_kinds(kind, options)
    try:
        return kind(**options)
    except TypeError as error:  # a field without a default, a class without a step
        raise InputError(f"the cell {cell_name(kind)} cannot be created: {error}") from error


def _check_kinds(kind: type[Cell], options: Mapping[str, Any]) -> None:
    """Checks options whose field is a number or a string; a cell checks other fields itself."""
    types: dict[str, Any] = (
        {field.name: field.type for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {}
    )
    for name, value in options.items():
        annotation = types[name].__name__ if isinstance(types[name], type) else str(types[name])
        if annotation in ("float", "int") and (isinstance(value, bool) or not isinstance(value, float | int)):
            raise InputError(f"the cell {cell_name(kind)}: {name}={value!r}, expected a number")
        if (
            annotation.startswith("str")
            and "None" not in annotation
            and not (isinstance(value, str) or callable(value))
        ):
            raise InputError(f"the cell {cell_name(kind)}: {name}={value!r}, expected a string")


def cell_name(kind: type[Cell]) -> str:
    """The name of a cell in files and on the command line: its name in the table, else "module:Class"."""
    return next((name for name, known in CELLS.items() if known is kind), f"{kind.__module__}:{kind.__qualname__}")


def cell_options(cell: Cell) -> dict[str, Any]:
    """The options of a cell as JSON values.

    Raises:
        InputError: an option is a function, which a file cannot hold.
    """
    options = {name: getattr(cell, name) for name in option_names(type(cell))}
    for name, value in options.items():
        if callable(value):
            raise InputError(
                f"{cell_name(type(cell))}: {name} is a function, which cannot be saved. Use a name that recurra "
                "knows, or write the function into a user-defined cell"
            )
    return options


def option_names(kind: type[Cell]) -> list[str]:
    """The options of a cell: its fields as a dataclass; none for a plain class."""
    return [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "_")


def _imported(which: str) -> Any:
    module, colon, name = which.partition(":")
    if not colon:
        raise InputError(f"there is no cell {which!r}. {nearest(which, CELLS)} A user-defined cell is 'module:Class'.")
    if not name or not module or module.startswith("."):
        raise InputError(f"cell {which!r}: expected 'module:Class', such as 'my_cells:Leaky'")
    # Modules of the current folder have priority, as with `python -m`.
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(f"cell {which!r}: no module {error.name!r} here or on the Python path") from error
    # A module without a main guard may call sys.exit when it is imported.
    except (Exception, SystemExit) as error:
        raise InputError(f"cell {which!r}: {module} cannot be imported: {_in_a_line(error)}") from error
    finally:
        sys.path.remove(here)
    if not hasattr(loaded, name):
        raise InputError(f"cell {which!r}: {module} has no {name!r}. {nearest(name, _cells_of(loaded))}")
    return getattr(loaded, name)


def _in_a_line(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {' '.join(str(error).split())} ({last.filename}, line {last.lineno})"


def _cells_of(module: Any) -> list[str]:
    return [name for name, value in vars(module).items() if isinstance(value, type) and issubclass(value, Cell)]
