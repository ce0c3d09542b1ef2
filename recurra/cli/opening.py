"""The model that a verb works with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recurra import bundle
from recurra.api import load
from recurra.errors import InputError
from recurra.tasks import TASKS


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
    check_folder(folder)
    check_single(folder)
    if task is not None and (held := bundle.read_config(folder)["task"]) != task:
        raise InputError(
            f"{folder}: holds a model for {held!r}, which does not {does}: expected a model for {task!r} "
            f"(a {TASKS[task].title})"
        )
    return load(folder, cell=cell)


def check_single(folder: Path) -> None:
    """Refuses the folder of several models.

    Raises:
        InputError: it holds a model for each seed.
    """
    seeds = sorted(path.parent for path in folder.glob(f"seed-*/{bundle.CONFIG}"))
    if seeds and not (folder / bundle.CONFIG).exists():
        raise InputError(f"{folder}: holds {len(seeds)} models, one for each seed: name one, such as {seeds[0]}")


def check_folder(folder: Path) -> None:
    """Refuses what cannot be the folder of a trained model, and says what it is.

    A replacement of the model that was cut off is completed first.

    Raises:
        InputError: a file, nothing, a folder of a run that has not saved a model yet, or what cannot be looked at.
    """
    try:
        if not folder.is_dir():
            what = "is a file, " if folder.exists() else "no such folder: "
            raise InputError(f"{folder}: {what}expected the folder of a model that `recurra train` made")
        bundle.settle_for_reading(folder)
        if (folder / bundle.TRAINING).is_dir() and not (folder / bundle.CONFIG).exists():
            raise InputError(
                f"{folder}: a training run has begun here and has saved no model yet: go on with "
                f"recurra train TASK --out {folder} --resume"
            )
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from None
