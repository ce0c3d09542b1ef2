"""How an older model makes room for a newer one: only when that is complete, and a kill at any moment loses neither.

While a new run trains, the older model stays where it is and the run's files, its best model so far among them, lie in
a folder inside:

    .new-1/      the run; numbers count up, and the highest with a checkpoint is the one that `--resume` goes on with
    .replacing/  `.new-1` renamed, which decides it: the run is complete, the older model is being removed
    .placing/    `.replacing` renamed: the older model is gone, the entries move up one after the other

`settle` goes on from whichever of these a kill left behind, and may itself be killed at any moment. `.replaced` is
where earlier versions of recurra put the older model while the newer one trained in its place; it is put back.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from recurra.bundle.lock import locked
from recurra.bundle.names import CONFIG, TRASH, has_begun, is_run, own
from recurra.errors import InputError, RecurraError
from recurra.files import sync_folder

_NEW, _REPLACING, _PLACING = ".new-", ".replacing", ".placing"
_REPLACED, _MOVING = ".replaced", ".moving"  # of earlier versions, and on the way from there
_PATIENCE = 10.0  # seconds to wait for another process that is just putting a new model in place


def new_place(folder: Path) -> Path:
    """Where the files of a new run go while an older model stays: a folder that does not exist yet."""
    return folder / f"{_NEW}{max(map(_number, _places(folder)), default=0) + 1}"


def begun_place(folder: Path) -> Path:
    """Where the run lies that `--resume` goes on with: the newest one inside that has a checkpoint, or the folder."""
    begun = [place for place in _places(folder) if has_begun(place)]
    return max(begun, key=_number, default=folder)


def is_replacement(folder: Path) -> bool:
    """Whether a folder is one that a run has inside another while the older model stays."""
    return _is_place(folder) and is_run(folder)


def is_unsettled(folder: Path) -> bool:
    """Whether a kill came between two steps of a replacement."""
    return any((folder / name).is_dir() for name in (_REPLACING, _PLACING, _REPLACED, _MOVING))


def promote(folder: Path, place: Path) -> None:
    """Puts the complete run of `place` where the older model is.

    Raises:
        OSError: the disk refuses; the older model is whole, or `settle` goes on from there.
    """
    place.rename(folder / _REPLACING)
    sync_folder(folder)
    settle(folder)


def settle(folder: Path) -> None:
    """Ends a replacement that was cut off; call it with the lock held.

    Raises:
        OSError: the disk refuses; called again, it goes on.
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
    """Ends a replacement that a kill cut off, before the model of a folder is read.

    Raises:
        InputError: another process is still replacing it, or the folder cannot be written to.
        RecurraError: the disk refuses.
    """
    until = time.monotonic() + _PATIENCE
    while _hides_the_model(folder):
        try:
            with locked(folder):
                settle(folder)
        except OSError as error:
            raise unwritable(folder, error) from error
        except InputError:
            if time.monotonic() > until or not _hides_the_model(folder):
                raise
            time.sleep(0.05)


def unwritable(folder: Path, error: OSError) -> RecurraError:
    """The error for a folder that the system refuses to write in."""
    return RecurraError(
        f"{error.filename or folder}: cannot be written ({error.strerror or error}). Make room or make it "
        "writable, then repeat"
    )


def discard(folder: Path, *, but: Path | None = None) -> None:
    """Removes the runs inside that were not completed, save one; errors are left to the next call."""
    for place in _places(folder):
        if place != but:
            shutil.rmtree(place, ignore_errors=True)


def model_name(folder: Path) -> str:
    """The name of a model: that of its folder, or of the folder it will be in once it is complete."""
    folder = folder.resolve()
    return folder.parent.name if _is_place(folder) else folder.name


def remove_own(folder: Path) -> None:
    """Removes a model and a run from a folder, and nothing else.

    Raises:
        OSError: the disk refuses.
    """
    trash = folder / TRASH
    if trash.is_dir():
        shutil.rmtree(trash)
    entries = own(folder)
    if entries:
        trash.mkdir()
        for path in entries:
            path.rename(trash / path.name)
        shutil.rmtree(trash)


def _move_up(folder: Path) -> None:
    for path in sorted((folder / _PLACING).iterdir()):
        try:
            path.rename(folder / path.name)
        except OSError as error:
            if (folder / path.name).exists():
                raise InputError(
                    f"{folder / path.name}: is in the way of the new model's. Move it elsewhere, then repeat"
                ) from error
            raise
    (folder / _PLACING).rmdir()
    sync_folder(folder)


def _move_aside(folder: Path) -> None:
    """Moves the newer run of an earlier version to where this one has it."""
    (folder / _MOVING).mkdir(exist_ok=True)
    for path in own(folder):
        path.rename(folder / _MOVING / path.name)
    (folder / _MOVING).rename(new_place(folder))
    sync_folder(folder)


def _hides_the_model(folder: Path) -> bool:
    """Whether what was left unsettled is the model of a folder; earlier versions' runs may wait for `--resume`."""
    newer = any((folder / name).is_dir() for name in (_REPLACING, _PLACING, _MOVING))
    return newer or ((folder / _REPLACED).is_dir() and not (folder / CONFIG).exists() and not has_begun(folder))


def _is_place(path: Path) -> bool:
    return path.name.startswith(_NEW) and path.name[len(_NEW) :].isdigit()


def _places(folder: Path) -> list[Path]:
    return [path for path in folder.glob(f"{_NEW}*") if _is_place(path) and path.is_dir()]


def _number(place: Path) -> int:
    return int(place.name[len(_NEW) :])
