"""Compiled code in the user's cache folder: a formula is compiled once per machine, not once per process."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from pathlib import Path

_HASH = hashlib.sha256


def cache_folder() -> Path:
    """The folder of compiled code: `recurra/kernels` in the user's cache folder."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
        # The XDG specification: a relative path is invalid and ignored.
        base = configured if configured.is_absolute() else home / ".cache"
    return base / "recurra" / "kernels"


def load(key: str) -> bytes | None:
    """The code saved under a key; None if there is none, or if the file is damaged."""
    with contextlib.suppress(OSError, RuntimeError):  # no home folder, or no permission: the code is compiled
        path = cache_folder() / f"{key}.o"
        if not _is_ours(path.parent):
            return None
        content = path.read_bytes()
        size = _HASH().digest_size
        if _HASH(content[size:]).digest() == content[:size]:
            return content[size:]
    return None


def save(key: str, code: bytes) -> None:
    """Saves code under a key. The file appears complete: another process may read or write it at the same time."""
    # If the cache cannot be written, for example on a full disk, the code is compiled again in the next process.
    with contextlib.suppress(OSError, RuntimeError):
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_ours(folder):
            return
        handle, name = tempfile.mkstemp(dir=folder, prefix=f"{key[:16]}-", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_HASH(code).digest() + code)
            os.replace(name, folder / f"{key}.o")
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise


def _is_ours(folder: Path) -> bool:
    """Whether only this user can write to the folder, whose files are executed."""
    if not hasattr(os, "getuid"):
        return True
    status = folder.stat()
    return status.st_uid == os.getuid() and not status.st_mode & 0o022
