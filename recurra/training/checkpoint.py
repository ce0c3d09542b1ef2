"""The file `checkpoint.pt`: everything needed to go on exactly, replaced in one stroke.

A checkpoint is written beside the old one, forced to the disk, and renamed over it. Whatever happens in between, a full
disk or a kill -9, the old file stays whole. It holds plain containers and tensors; reading it runs no code.
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
    """Replace a checkpoint, whole or not at all.

    Args:
        path: Of the checkpoint; `<path>.partial` beside it is used on the way.
        content: Containers of numbers, strings and tensors.

    Raises:
        OSError: the disk is full or otherwise refuses; the old checkpoint is whole.
        RecurraError: the content holds something that reading would refuse.
    """
    _check_plain(content, "")
    # Serialised in memory first: torch's own writer turns a full disk into an abort of the process at worst.
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
    """The content of a checkpoint, its tensors on the CPU.

    Raises:
        InputError: there is none, it is damaged, or another version of recurra wrote it.
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
            f"{path}: damaged or no checkpoint ({reason}). Restore the file from a copy, or train in another folder"
        ) from error
    version = content.get("format") if isinstance(content, dict) else None
    if version != FORMAT or not content.keys() >= _KEYS:
        raise InputError(
            f"{path}: checkpoint format {version}, expected {FORMAT}. Resume with the recurra that wrote it"
        )
    return dict(content)


def check_network(path: Path, saved: dict[str, Any], network: nn.Module) -> None:
    """Compare a checkpoint's network with the one to be trained, name, shape and number type of each tensor.

    Raises:
        InputError: they differ, with the first difference.
    """
    present = network.state_dict()
    for name in sorted(saved.keys() | present.keys()):
        old, new = (_described(tensors.get(name)) for tensors in (saved, present))
        if old != new:
            raise InputError(
                f"{path}: {name} is {old} in the checkpoint but {new} in the network. Resume with the run's own options"
            )


@contextmanager
def keeping_last(folder: Path, saved_step: int | None) -> Iterator[None]:
    """Turn a disk's refusal inside into one line that says which checkpoint is whole."""
    try:
        yield
    except OSError as error:
        mend = "Make it writable" if error.errno in _NOT_ALLOWED else "Make room"
        if saved_step is None:
            kept = f"No checkpoint was written yet. {mend} and train again"
        else:
            kept = f"The checkpoint of update {saved_step} is whole. {mend}, then go on with --resume"
        path = error.filename or folder
        raise RecurraError(f"{path}: cannot write ({error.strerror or error}). {kept}") from error


def _check_plain(value: Any, place: str) -> None:
    """Find what could be written but not read again now, not when the run is to be resumed."""
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


def _described(value: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return "absent" if value is None else type(value).__name__
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
