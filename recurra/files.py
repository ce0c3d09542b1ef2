"""Files that are replaced in one stroke, and read with one line where they are damaged."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from recurra.errors import InputError

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
