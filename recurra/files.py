"""Atomic replacement of files, and JSON files whose damage is reported in one line."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from recurra.errors import InputError, RecurraError

_MISSING, _MEND = "the model is incomplete", "Restore the file, or train again"


def replace_file(path: Path, content: bytes) -> None:
    """Replaces a file atomically: writes a second file, flushes it to the disk and renames it.

    Raises:
        OSError: the disk is full or cannot be written; the old file remains complete.
    """
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            # On the disk before the renaming: otherwise a power failure could leave an empty file under the name.
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flushes the renamings in a folder to the disk, on systems where folders can be opened.

    Raises:
        OSError: the disk cannot be written.
    """
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_output(path: Path, content: str | bytes) -> None:
    """Writes a file that the user named. A regular file is replaced atomically; a pipe or a device is written to.

    Args:
        path: the file.
        content: bytes, or text that is encoded as UTF-8; lone surrogates, which UTF-8 lacks, become U+FFFD.

    Raises:
        RecurraError: the file cannot be written; an older file remains complete.
    """
    data = content if isinstance(content, bytes) else re.sub("[\ud800-\udfff]", "\ufffd", content).encode()
    try:
        target = path.resolve()  # the target of a link is replaced, not the link
        # Renaming needs write permission for the folder, and would replace a device such as /dev/null by a file.
        if (target.is_file() or not target.exists()) and os.access(target.parent, os.W_OK):
            replace_file(target, data)
        else:
            target.write_bytes(data)
    except OSError as error:
        raise RecurraError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_place(path: Path) -> None:
    """Refuses a file that `write_output` cannot write; called before the work whose result is written.

    Raises:
        InputError: the path is a folder, or its folder does not exist or cannot be written to.
    """
    try:
        target = path.resolve()
        if target.is_dir():
            raise InputError(f"{path}: is a folder, expected the name of a file to write")
        if not target.parent.is_dir():
            raise InputError(f"{path}: there is no folder {target.parent}. Create it first")
        if not os.access(target if target.exists() else target.parent, os.W_OK):
            raise InputError(f"{path}: cannot be written: Permission denied. Name a file in another folder")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None


def to_json(content: Any) -> bytes:
    """Indented JSON with a newline at its end; NaN and infinity, which JSON lacks, raise a ValueError."""
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_json(path: Path, *, missing: str = _MISSING, mend: str = _MEND) -> Any:
    """Reads a JSON file.

    Args:
        path: the file.
        missing: the consequence if the file does not exist, for the message.
        mend: the remedy if it is damaged, for the message.

    Raises:
        InputError: the file does not exist or cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file: {missing}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}). {mend}") from None


def read_object(path: Path, *, missing: str = _MISSING, mend: str = _MEND) -> dict[str, Any]:
    """Reads a JSON file that must contain an object; arguments as `read_json`.

    Raises:
        InputError: the file does not exist, cannot be read, or contains another type.
    """
    content = read_json(path, missing=missing, mend=mend)
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}, expected a JSON object. {mend}")
    return content
