"""The model that a verb works with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recurra import bundle
from recurra.api import load
from recurra.errors import InputError
from recurra.tasks import TASKS, tasks_with


def open_model(
    folder: Path, cell: str | None, *, needs: type | None = None, does: str = "", otherwise: str = ""
) -> Any:
    """The model in a folder.

    Args:
        folder: the model.
        cell: module:Class, for a model with a cell of somebody's own.
        needs: the capability that the model must have (see `recurra.tasks.tasks_with`); any model will do where None.
        does: what a model with it does, for the message about another.
        otherwise: what can be done with another, for the same message.

    Raises:
        InputError: the folder holds several, a model a seed, none that can be loaded, or one without the capability.
    """
    check_folder(folder)
    check_single(folder)
    if needs is not None:
        _check_capability(folder, needs, does, otherwise)
    return load(folder, cell=cell)


def _check_capability(folder: Path, needs: type, does: str, otherwise: str) -> None:
    held, able = TASKS[bundle.read_config(folder)["task"]], tasks_with(needs)
    if held in able:
        return
    if does:
        expected = " or ".join(f"{task.name!r} (a {task.title})" for task in able)
        problem = f"which does not {does}: expected a model for {expected}"
    else:
        problem = f"expected one for {' or '.join(repr(task.name) for task in able)}"
    raise InputError(f"{folder}: holds a model for {held.name!r}, {problem}{otherwise}")


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
