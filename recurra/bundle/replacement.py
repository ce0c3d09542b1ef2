"""Replacing an older model by a newer one, only when that is complete; a kill at any moment loses neither.

While a new run trains, the older model stays in its folder, and the run's files, its best model so far included, are in
a folder inside it:

    .new-1/      the run; numbers increase, and `--resume` continues the highest with a checkpoint
    .replacing/  `.new-1` renamed, the decisive step: the run is complete, the older model is being removed
    .placing/    `.replacing` renamed: the older model has been removed, the entries are moved up one by one

`settle` continues from whichever of these a kill left, and can itself be killed at any moment: each step is one rename,
or can be repeated. In `.replaced`, earlier versions of recurra kept the older model while the newer one trained in its
place; it is moved back.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from recurra.bundle.lock import locked
from recurra.bundle.names import CONFIG, TRASH, has_begun, is_run, own_entries
from recurra.errors import InputError, RecurraError
from recurra.files import sync_folder

_NEW, _REPLACING, _PLACING = ".new-", ".replacing", ".placing"
_REPLACED, _MOVING = ".replaced", ".moving"  # of earlier versions, and for the conversion from them
_PATIENCE = 10.0  # seconds to wait for another process that is moving a new model into place


def new_place(folder: Path) -> Path:
    """The folder for the files of a new run while an older model stays; it does not exist yet."""
    return folder / f"{_NEW}{max(map(_number, _places(folder)), default=0) + 1}"


def begun_place(folder: Path) -> Path:
    """The folder of the run that `--resume` continues: the newest one inside that has a checkpoint, or the folder."""
    begun = [place for place in _places(folder) if has_begun(place)]
    return max(begun, key=_number, default=folder)


def is_replacement(folder: Path) -> bool:
    """Whether a folder is that of a run which will replace the model in the folder above."""
    return _is_place(folder) and is_run(folder)


def is_unsettled(folder: Path) -> bool:
    """Whether a replacement was killed between two steps."""
    return any((folder / name).is_dir() for name in (_REPLACING, _PLACING, _REPLACED, _MOVING))


def promote(folder: Path, place: Path) -> None:
    """Replaces the older model by the complete run in `place`.

    Raises:
        OSError: the disk cannot be written; the older model is complete, or `settle` can continue.
    """
    place.rename(folder / _REPLACING)
    # On the disk before any file of the older model is removed: after a power failure `settle` must find it.
    sync_folder(folder)
    settle(folder)


def settle(folder: Path) -> None:
    """Completes an interrupted replacement; the caller must hold the lock.

    Raises:
        OSError: the disk cannot be written; a further call continues.
    """
    if (folder / _PLACING).is_dir():
        _move_up(folder)
    if (folder / _MOVING).is_dir() or ((folder / _REPLACED).is_dir() and has_begun(folder)):
        _move_aside(folder)
    for name in (_REPLACED, _REPLACING):
        if (folder / name).is_dir():
            remove_own(folder)
            (folder / name).rename(folder / _PLACING)
            sync_folder(folder)
            _move_up(folder)


def settle_for_reading(folder: Path) -> None:
    """Completes a killed replacement before the model of a folder is read.

    Raises:
        InputError: another process is still replacing the model, or the folder cannot be written to.
        RecurraError: the disk cannot be written.
    """
    deadline = time.monotonic() + _PATIENCE
    while _hides_the_model(folder):
        try:
            with locked(folder):
                settle(folder)
        except OSError as error:
            raise unwritable(folder, error) from error
        except InputError:
            if time.monotonic() > deadline or not _hides_the_model(folder):
                raise
            time.sleep(0.05)


def unwritable(folder: Path, error: OSError) -> RecurraError:
    """The error for a folder that cannot be written to."""
    return RecurraError(
        f"{error.filename or folder}: cannot be written ({error.strerror or error}). Free disk space or make it "
        "writable, then repeat the command"
    )


def discard(folder: Path, *, but: Path | None = None) -> None:
    """Removes the incomplete runs inside a folder except `but`; errors are ignored, a later call removes the rest."""
    for place in _places(folder):
        if place != but:
            shutil.rmtree(place, ignore_errors=True)


def model_name(folder: Path) -> str:
    """The name of a model: that of its folder, or of the folder in which it will replace an older model."""
    folder = folder.resolve()
    return folder.parent.name if _is_place(folder) else folder.name


def remove_own(folder: Path) -> None:
    """Removes a model and its run from a folder, and no other files.

    Raises:
        OSError: the disk cannot be written.
    """
    trash = folder / TRASH
    if trash.is_dir():
        shutil.rmtree(trash)
    entries = own_entries(folder)
    if entries:
        trash.mkdir()
        for path in entries:
            path.rename(trash / path.name)
        shutil.rmtree(trash)


def _move_up(folder: Path) -> None:
    """Moves the entries of the new model from `.placing` into the folder."""
    for path in sorted((folder / _PLACING).iterdir()):
        try:
            path.rename(folder / path.name)
        except OSError as error:
            if (folder / path.name).exists():
                raise InputError(
                    f"{folder / path.name}: prevents the new model from being moved here. Move it elsewhere, then "
                    "repeat the command"
                ) from error
            raise
    (folder / _PLACING).rmdir()
    sync_folder(folder)


def _move_aside(folder: Path) -> None:
    """Moves the newer run of an earlier version to the folder where this version expects it."""
    (folder / _MOVING).mkdir(exist_ok=True)
    for path in own_entries(folder):
        path.rename(folder / _MOVING / path.name)
    (folder / _MOVING).rename(new_place(folder))
    sync_folder(folder)


def _hides_the_model(folder: Path) -> bool:
    """Whether the model of a folder is in an unfinished replacement; runs of earlier versions may stay there."""
    newer = any((folder / name).is_dir() for name in (_REPLACING, _PLACING, _MOVING))
    return newer or ((folder / _REPLACED).is_dir() and not (folder / CONFIG).exists() and not has_begun(folder))


def _is_place(path: Path) -> bool:
    return path.name.startswith(_NEW) and path.name[len(_NEW) :].isdigit()


def _places(folder: Path) -> list[Path]:
    return [path for path in folder.glob(f"{_NEW}*") if _is_place(path) and path.is_dir()]


def _number(place: Path) -> int:
    return int(place.name[len(_NEW) :])
