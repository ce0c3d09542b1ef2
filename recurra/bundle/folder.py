"""The output folder of a run: whether it is free, its lock, and the place of the run's files."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from recurra.bundle.bundle import read_config
from recurra.bundle.lock import check_unlocked, locked
from recurra.bundle.names import CHECKPOINT, RECIPE, TRAINING, has_begun, is_abandoned, is_run
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
    """Refuses a folder with other files, and without `overwrite` one with a model; changes nothing.

    Raises:
        InputError: the folder is not free, or a run is writing to it.
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
        free = not any(out.iterdir()) or is_abandoned(out)
    except OSError as error:
        raise InputError(f"{out}: cannot be read ({error.strerror}). Choose another folder") from None
    if free:
        return
    if not _is_from_recurra(out):
        raise InputError(f"{out}: is not empty and holds no model. Choose an empty or a new folder")
    if not overwrite:
        what = "a model or a run"
        if begun_place(out) != out:
            what = "a model and an interrupted run that would replace it"
        raise InputError(
            f"{out}: holds {what}. Choose another folder, continue an interrupted run with --resume, or "
            "replace the model with --overwrite"
        )


@contextlib.contextmanager
def making(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """Context that locks a folder for a new run; yields the folder for the run's files: this one, or one inside it.

    An older model stays until the block ends without an error, and is then replaced. A run that fails or is interrupted
    before its first checkpoint, or raises an InputError, leaves no files; after its first checkpoint it can be resumed.

    Raises:
        InputError: the folder is not free, or a run is writing to it; nothing was changed.
        RecurraError: the disk is full or cannot be written.
    """
    check_free(out, overwrite=overwrite)
    created = _create(out)
    try:
        with locked(out):
            _check_content(out, overwrite=overwrite)  # again: another process may have written before it was locked
            place = _prepare_place(out)
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
        for folder in created:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


@contextlib.contextmanager
def resuming(out: Path) -> Iterator[Path]:
    """Context that locks a folder to continue the run in it; yields the folder of the run's files.

    If the run replaces an older model, the replacement takes place when the block ends without an error.

    Raises:
        InputError: there is no run, another process is writing to the folder, or it cannot be written to.
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
    """Refuses a folder without a run that can be continued; changes nothing.

    Raises:
        InputError: there is no run, or another process is writing to the folder.
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
        InputError: the checkpoint does not exist.
    """
    if not (place / TRAINING / CHECKPOINT).exists():
        raise InputError(
            f"{place}: no {TRAINING}/{CHECKPOINT} here, so nothing to resume. Train without --resume; "
            "to start from the weights of a model whose training/ was deleted, use --init-from"
        )


def _check_outermost(out: Path) -> None:
    if is_replacement(out):
        raise InputError(
            f"{out}: is a run that will replace the model in {out.parent}. Name {out.parent}, or copy the folder"
        )


def _is_from_recurra(out: Path) -> bool:
    """Whether a folder holds a model or a run of recurra, by the content of its files rather than by their names."""
    if is_unsettled(out) or begun_place(out) != out:
        return True
    with contextlib.suppress(InputError):
        read_config(out)
        return True
    return is_run(out)


def _create(out: Path) -> list[Path]:
    """Creates a folder and its parents; returns those that did not exist, the innermost first."""
    missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be created ({error.strerror}). Choose a writable folder") from error
    return missing


def _prepare_place(out: Path) -> Path:
    """Returns the folder for the files of a new run, created if necessary."""
    try:
        settle(out)
        if is_abandoned(out):
            return out
        place = new_place(out)
        place.mkdir()
    except OSError as error:
        raise unwritable(out, error) from error
    return place


def _remove(out: Path, place: Path) -> None:
    """Removes a run without a checkpoint. Files that cannot be removed now do no harm later."""
    with contextlib.suppress(OSError):
        if place == out:
            remove_own(out)
        else:
            shutil.rmtree(place)


def _complete(out: Path, place: Path) -> None:
    """Replaces the older model by the complete run in `place`, if there is an older model."""
    if place == out:
        return
    try:
        promote(out, place)
    except OSError as error:
        raise RecurraError(
            f"{out}: the new model is complete, but the older one could not be replaced ({error.strerror or error}). "
            f"The next command that reads {out} completes the replacement"
        ) from error
    discard(out)
