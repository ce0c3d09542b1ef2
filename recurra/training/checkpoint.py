"""The file `checkpoint.pt`: everything needed to resume exactly, replaced atomically.

A checkpoint is written to a second file, flushed to the disk, and renamed over the old one. If the disk is full or the
process is killed in between, the old file remains complete. A checkpoint consists of plain containers and tensors;
reading it runs no code.
"""

from __future__ import annotations

import errno
import io
import os
import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from recurra.errors import InputError, RecurraError
from recurra.files import sync_folder

FORMAT = 1
NAME = "checkpoint.pt"
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_KEYS = frozenset(
    {"network", "optimizer", "plateau", "average", "judge", "step", "plan", "stopped", "seconds", "processes"}
    | {"options", "environment", "log_bytes"}
)


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Replaces a checkpoint atomically.

    Args:
        path: Path of the checkpoint; `<path>.partial` is used as the temporary file.
        content: Containers of numbers, strings and tensors.

    Raises:
        OSError: the disk is full or cannot be written; the old checkpoint remains complete.
        RecurraError: the content has a value that `read_checkpoint` would refuse.
    """
    _check_plain(content, "")
    # Serialised in memory first: on a full disk torch's file writer can abort the process.
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **content}, buffer)
    partial = path.with_name(path.name + ".partial")
    try:
        with open(partial, "wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint, with its tensors on the CPU.

    Raises:
        InputError: the file does not exist, is damaged, or was written by another version of recurra.
    """
    if not path.exists():
        raise InputError(f"{path.parent}: no {path.name} here, so nothing to resume. Train without --resume")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"the part {damaged} does not match its checksum")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path}: damaged or not a checkpoint ({reason}). Restore the file from a copy, or train in another folder"
        ) from error
    version = content.get("format") if isinstance(content, dict) else None
    if version != FORMAT or not content.keys() >= _KEYS:
        raise InputError(
            f"{path}: checkpoint format {version}, expected {FORMAT}. Resume with the version of recurra that wrote it"
        )
    return dict(content)


def check_network(path: Path, saved: dict[str, Any], network: nn.Module) -> None:
    """Compares the names, shapes and dtypes of a checkpoint's parameters with those of the network.

    Raises:
        InputError: they differ; the message names the first difference.
    """
    present = network.state_dict()
    for name in sorted(saved.keys() | present.keys()):
        old, new = (_describe(tensors.get(name)) for tensors in (saved, present))
        if old != new:
            raise InputError(
                f"{path}: {name} is {old} in the checkpoint but {new} in the network. Resume with the run's options"
            )


@contextmanager
def report_write_errors(folder: Path, saved_step: int | None) -> Iterator[None]:
    """Context that converts an OSError to one line that names the last complete checkpoint."""
    try:
        yield
    except OSError as error:
        remedy = "Make it writable" if error.errno in _NOT_ALLOWED else "Free disk space"
        if saved_step is None:
            consequence = f"No checkpoint was written yet. {remedy} and train again"
        else:
            consequence = f"The checkpoint of update {saved_step} is complete. {remedy}, then continue with --resume"
        path = error.filename or folder
        raise RecurraError(f"{path}: cannot write ({error.strerror or error}). {consequence}") from error


def _check_plain(value: Any, place: str) -> None:
    """Refuses values that could be written but not read: an error at writing loses less than one at resuming."""
    if isinstance(value, dict):
        for name, item in value.items():
            _check_plain(item, f"{place}.{name}")
    elif type(value) in (list, tuple):
        for index, item in enumerate(value):
            _check_plain(item, f"{place}.{index}")
    elif not (value is None or isinstance(value, torch.Tensor) or type(value) in (bool, int, float, str, bytes)):
        raise RecurraError(
            f"checkpoint: {place.removeprefix('.')} is a {type(value).__name__}; expected dicts, lists, tuples, "
            "numbers, strings and tensors, which are read without running code"
        )


def _describe(value: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return "absent" if value is None else type(value).__name__
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
