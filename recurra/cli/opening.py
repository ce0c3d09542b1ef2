"""Loading the model that a command works with."""

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
    """Loads the model in a folder.

    Args:
        folder: the folder of the model.
        cell: module:Class, for a model with a user-defined cell.
        needs: the capability that the model must have (see `recurra.tasks.tasks_with`); None accepts any model.
        does: what a model with this capability does, for the error message about a model without it.
        otherwise: an alternative for such a model, for the same message.

    Raises:
        InputError: the folder contains a model for each of several seeds, no model that can be loaded, or a model
            without the capability.
    """
    check_folder(folder)
    check_single(folder)
    if needs is not None:
        _check_capability(folder, needs, does, otherwise)
    return load(folder, cell=cell)


def _check_capability(folder: Path, needs: type, does: str, otherwise: str) -> None:
    task, capable = TASKS[bundle.read_config(folder)["task"]], tasks_with(needs)
    if task in capable:
        return
    if does:
        expected = " or ".join(f"{other.name!r} (a {other.title})" for other in capable)
        problem = f"which does not {does}: expected a model for {expected}"
    else:
        problem = f"expected one for {' or '.join(repr(other.name) for other in capable)}"
    raise InputError(f"{folder}: holds a model for {task.name!r}, {problem}{otherwise}")


def check_single(folder: Path) -> None:
    """Refuses a folder with several models.

    Raises:
        InputError: the folder contains a model for each seed.
    """
    seeds = sorted(path.parent for path in folder.glob(f"seed-*/{bundle.CONFIG}"))
    if seeds and not (folder / bundle.CONFIG).exists():
        raise InputError(f"{folder}: holds {len(seeds)} models, one for each seed: name one, such as {seeds[0]}")


def check_folder(folder: Path) -> None:
    """Refuses a path that is not the folder of a trained model.

    If the replacement of a model was interrupted, it is completed first.

    Raises:
        InputError: the path does not exist, is a file, cannot be read, or is the folder of a run that has not saved a
            model yet.
    """
    try:
        if not folder.is_dir():
            what = "is a file, " if folder.exists() else "no such folder: "
            raise InputError(f"{folder}: {what}expected the folder of a model that `recurra train` saved")
        bundle.settle_for_reading(folder)
        if (folder / bundle.TRAINING).is_dir() and not (folder / bundle.CONFIG).exists():
            raise InputError(
                f"{folder}: a training run has started here but has not saved a model yet. Continue it with "
                f"recurra train TASK --out {folder} --resume"
            )
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from None
