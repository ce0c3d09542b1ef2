"""The model that a verb works with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recurra import bundle
from recurra.api import load
from recurra.errors import InputError


def open_model(folder: Path, cell: str | None, *, task: str | None = None, does: str = "") -> Any:
    """The model in a folder.

    Args:
        folder: the model.
        cell: module:Class, for a model with a cell of somebody's own.
        task: what the model must be for; anything where None.
        does: what such a model does, for the message to who has another.

    Raises:
        InputError: the folder holds several, a model a seed, none that can be loaded, or one for another task.
    """
    bundle.settle_for_reading(folder)
    seeds = sorted(path.parent for path in folder.glob(f"seed-*/{bundle.CONFIG}"))
    if seeds and not (folder / bundle.CONFIG).exists():
        raise InputError(f"{folder}: holds {len(seeds)} models, one a seed: name one of them, such as {seeds[0]}")
    model = load(folder, cell=cell)
    if task is not None and model.name != task:
        raise InputError(f"{folder}: holds a model for {model.name!r}, which does not {does}: expected {task!r}")
    return model
