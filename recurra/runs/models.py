"""The trained models that a run uses: the one from which it starts, and those that its options name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recurra import bundle
from recurra.cells import Cell, find_cell
from recurra.errors import InputError
from recurra.recipe import Recipe
from recurra.runs.run import Run
from recurra.tasks import Task


def load_model(folder: str | Path, *, cell: str | Cell | type[Cell] | None = None, device: str = "cpu") -> Any:
    """Loads a model; see `recurra.load`."""
    return bundle.load(folder, cell=None if cell is None else find_cell(cell), device=device)


def adopt(
    task: Task, folder: Path | None, below: Mapping[str, Any], options: dict[str, Any]
) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Loads the model from which a run starts.

    Args:
        task: the task of the run.
        folder: the folder of the model; None for a run from random weights.
        below: the options of a recipe.
        options: the options of the user, which override those of the recipe.

    Returns:
        The model, the options that it determines, and the options of the user that remain.

    Raises:
        InputError: the model is one of another task, or an option contradicts it.
    """
    if folder is None:
        return None, {}, options
    content = bundle.read_config(folder)
    if content["task"] != task.name:
        raise InputError(f"{folder}: holds a model for {content['task']!r}, expected {task.name!r}")
    # A user-defined cell is named again by the user, because loading a model runs no code that its folder names.
    network = content["model"].get(task.implementation.network)
    own_cell = options.get("cell") if isinstance(network, dict) and ":" in str(network.get("cell")) else None
    remaining = {name: value for name, value in options.items() if own_cell is None or name != "cell"}
    source = load_model(folder, cell=own_cell)
    determined = source.settings()
    for name in remaining.keys() | below.keys():
        # The recipe that a run wrote repeats what its model determined.
        contradicts = name in remaining or determined.get(name, below[name]) != below[name]
        if name in task.implementation.determined and contradicts:
            value = remaining.get(name, below.get(name))
            raise InputError(
                f"{name}={value!r}: this comes with the model in {folder}: leave it out, or train without --init-from"
            )
    return source, determined, remaining


def source_of_seeds(task: Task, recipe: Recipe) -> Any:
    """Loads the model from which several seeds start; None where they start from random weights."""
    if recipe.init_from is None:
        return None
    network = recipe.options[task.implementation.network]
    return load_model(recipe.init_from, cell=network.recurrent.cell if ":" in network.recurrent.cell else None)


def named_models(run: Run) -> dict[str, Any]:
    """Loads the models that the options of a run name, by the name of the option."""
    options, names = run.flat_options(), run.task.implementation.models
    return {name: load_model(options[name]) for name in names if options.get(name) is not None}
