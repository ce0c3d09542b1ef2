"""Files that are replaced in one stroke, and read with one line where they are damaged."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from recurra.errors import InputError, RecurraError

_MISSING, _MEND = "the model is not whole", "Restore the file, or train again"


def replace_file(path: Path, content: bytes) -> None:
    """Writes a file beside the old one, forces it to the disk and renames it over the old one.

    Raises:
        OSError: the disk is full or refuses otherwise; the old file is whole.
    """
    aside = path.with_name(path.name + ".part")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Forces what was renamed in a folder to the disk, where folders can be opened for that.

    Raises:
        OSError: the disk refuses.
    """
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_output(path: Path, content: str | bytes) -> None:
    """Writes a file that the user named; a regular file is replaced in one stroke, a pipe or a device is written to.

    Args:
        path: the file.
        content: bytes, or text for UTF-8, in which what has no UTF-8 form (lone surrogates) becomes U+FFFD.

    Raises:
        RecurraError: it cannot be written; an older file is whole.
    """
    data = content if isinstance(content, bytes) else re.sub("[\ud800-\udfff]", "\ufffd", content).encode()
    try:
        target = path.resolve()  # a link stays a link
        # Renaming needs the right to write into the folder; over a device such as /dev/full it would destroy it.
        if (target.is_file() or not target.exists()) and os.access(target.parent, os.W_OK):
            replace_file(target, data)
        else:
            target.write_bytes(data)
    except OSError as error:
        raise RecurraError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_place(path: Path) -> None:
    """Refuses a file that `write_output` could not write, before the work whose result it is to hold.

    Raises:
        InputError: it is a folder, or its folder is missing or cannot be written into.
    """
    try:
        target = path.resolve()
        if target.is_dir():
            raise InputError(f"{path}: is a folder, expected the name of a file to write")
        if not target.parent.is_dir():
            raise InputError(f"{path}: there is no folder {target.parent}: make it first")
        if not os.access(target if target.exists() else target.parent, os.W_OK):
            raise InputError(f"{path}: cannot be written: Permission denied. Name a file in another folder")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None


def to_json(content: Any) -> bytes:
    """Indented JSON with a newline at its end; NaN and infinity, which JSON lacks, are refused."""
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_json(path: Path, *, missing: str = _MISSING, mend: str = _MEND) -> Any:
    """What a file of JSON holds.

    Args:
        path: the file.
        missing: what it means where there is none, for the message.
        mend: what to do where it is damaged, for the message.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file: {missing}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}). {mend}") from None


def read_object(path: Path, *, missing: str = _MISSING, mend: str = _MEND) -> dict[str, Any]:
    """The JSON object in a file; as `read_json`.

    Raises:
        InputError: the file is missing, cannot be read, or holds something else.
    """
    content = read_json(path, missing=missing, mend=mend)
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}, expected a JSON object. {mend}")
    return content
