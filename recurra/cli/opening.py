"""The model that a verb works with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recurra import bundle
from recurra.api import load
from recurra.errors import InputError


def open_model(folder: Path, cell: str | None) -> Any:
    """The model in a folder.

    Raises:
        InputError: the folder holds several, a model a seed, or none that can be loaded.
    """
    seeds = sorted(path.parent for path in folder.glob(f"seed-*/{bundle.CONFIG}"))
    if seeds and not (folder / bundle.CONFIG).exists():
        raise InputError(f"{folder}: holds {len(seeds)} models, one a seed: name one of them, such as {seeds[0]}")
    return load(folder, cell=cell)
