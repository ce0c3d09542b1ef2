"""The folder of a model while it is made: whether it is free, who may write in it, where a run's files go."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from recurra.bundle.bundle import read_config
from recurra.bundle.lock import check_unlocked, locked
from recurra.bundle.names import CHECKPOINT, RECIPE, TRAINING, came_to_nothing, has_begun, is_run
from recurra.bundle.replacement import (
    begun_place,
    discard,
    is_replacement,
    is_unsettled,
    new_place,
    promote,
    remove_own,
    settle,
    unwritable,
)
from recurra.errors import InputError, RecurraError


def check_free(out: Path, *, overwrite: bool) -> None:
    """Refuses a folder with a model that is not to be overwritten, and one with anything of somebody else's.

    Changes nothing.

    Raises:
        InputError: the folder is not free, or a run is writing in it.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"{out}: is a file, expected a folder for the model")
    _check_outermost(out)
    check_unlocked(out)
    _check_content(out, overwrite=overwrite)


def _check_content(out: Path, *, overwrite: bool) -> None:
    try:
        free = not any(out.iterdir()) or came_to_nothing(out)
    except OSError as error:
        raise InputError(f"{out}: cannot be read ({error.strerror}). Give another folder") from None
    if free:
        return
    if not _is_ours(out):
        raise InputError(f"{out}: is not empty and holds no model. Give an empty or a new folder")
    if not overwrite:
        what = "a model or a run"
        if begun_place(out) != out:
            what = "a model and an interrupted run that was to replace it"
        raise InputError(
            f"{out}: holds {what}. Give another folder, go on with an interrupted run by --resume, or "
            "replace it by --overwrite"
        )


@contextlib.contextmanager
def making(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """Holds a folder for a new run, and yields where the run's files go: the folder, or one inside it.

    An older model stays until the block ends without an error, and is replaced then. A run that fails or is interrupted
    before its first checkpoint, or that cannot be as was asked, leaves nothing; one that had begun can be resumed.

    Raises:
        InputError: the folder is not free, or a run is writing in it; nothing was changed.
        RecurraError: the disk is full or refuses otherwise.
    """
    check_free(out, overwrite=overwrite)
    made = _make(out)
    try:
        with locked(out):
            _check_content(out, overwrite=overwrite)  # once more: it may have changed until it was locked
            place = _begin(out)
            try:
                yield place
            except BaseException as error:
                if isinstance(error, InputError) or not has_begun(place):
                    _remove(out, place)
                elif place != out:
                    discard(out, but=place)
                if isinstance(error, OSError):
                    raise unwritable(out, error) from error
                raise
            _complete(out, place)
    except BaseException:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


@contextlib.contextmanager
def resuming(out: Path) -> Iterator[Path]:
    """Holds a folder for the run in it that goes on, and yields where the run's files are.

    An older model that the run is to replace is replaced when the block ends without an error.

    Raises:
        InputError: there is no run, another process is writing in the folder, or it cannot be written to.
    """
    check_resumable(out)
    with locked(out):
        try:
            settle(out)
            place = begun_place(out)
            yield place
        except OSError as error:
            raise unwritable(out, error) from error
        _complete(out, place)


def check_resumable(out: Path) -> None:
    """Refuses a folder without a run that could go on; changes nothing.

    Raises:
        InputError: there is no run, or another process is writing in the folder.
    """
    if out.is_dir():
        _check_outermost(out)
        check_unlocked(out)
        if is_unsettled(out):
            return
    place = begun_place(out)
    if not is_run(place):
        raise InputError(f"{out}: no {RECIPE} here, so nothing to resume. Train without --resume")


def check_has_checkpoint(place: Path) -> None:
    """Refuses a run without a checkpoint.

    Raises:
        InputError: there is none.
    """
    if not (place / TRAINING / CHECKPOINT).exists():
        raise InputError(
            f"{place}: no {TRAINING}/{CHECKPOINT} here, so nothing to resume. Train without --resume; "
            "a model whose training/ was deleted can be a start by --init-from"
        )


def _check_outermost(out: Path) -> None:
    if is_replacement(out):
        raise InputError(
            f"{out}: is the run that is to replace the model in {out.parent}: name {out.parent}, or copy the folder"
        )


def _is_ours(out: Path) -> bool:
    """Whether a folder holds a model or a run of recurra's, by what the files say and not by their names."""
    if is_unsettled(out) or begun_place(out) != out:
        return True
    with contextlib.suppress(InputError):
        read_config(out)
        return True
    return is_run(out)


def _make(out: Path) -> list[Path]:
    """Makes a folder and those above it; which of them were made, the innermost first."""
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made ({error.strerror}). Give a folder that can be written to") from error
    return made


def _begin(out: Path) -> Path:
    """Where the files of a new run go."""
    try:
        settle(out)
        if came_to_nothing(out):
            return out
        place = new_place(out)
        place.mkdir()
    except OSError as error:
        raise unwritable(out, error) from error
    return place


def _remove(out: Path, place: Path) -> None:
    """Removes a run that came to nothing; what cannot be removed now does no harm later."""
    with contextlib.suppress(OSError):
        if place == out:
            remove_own(out)
        else:
            shutil.rmtree(place)


def _complete(out: Path, place: Path) -> None:
    if place == out:
        return
    try:
        promote(out, place)
    except OSError as error:
        raise RecurraError(
            f"{out}: the new model is complete, but the older one could not be replaced ({error.strerror or error}). "
            f"The next command that reads {out} finishes that"
        ) from error
    discard(out)
