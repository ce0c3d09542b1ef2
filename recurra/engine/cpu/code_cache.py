"""Compiled code kept in the user's cache folder: a formula is compiled once on a machine, not once a process."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from pathlib import Path

_HASH = hashlib.sha256


def cache_folder() -> Path:
    """Where compiled code is kept: `recurra/kernels` in the user's cache folder of this system."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        said = Path(os.environ.get("XDG_CACHE_HOME", ""))
        base = said if said.is_absolute() else home / ".cache"  # as its specification says
    return base / "recurra" / "kernels"


def load(key: str) -> bytes | None:
    """The code kept under a key; None where there is none, or where it is not what was kept."""
    with contextlib.suppress(OSError, RuntimeError):  # no home, no right to read: then it is compiled
        path = cache_folder() / f"{key}.o"
        if not _is_ours(path.parent):
            return None
        found = path.read_bytes()
        size = _HASH().digest_size
        if _HASH(found[size:]).digest() == found[:size]:
            return found[size:]
    return None


def save(key: str, code: bytes) -> None:
    """Keeps code under a key, whole or not at all: another process may be doing the same."""
    # A cache that cannot be written, on a full disk say, costs time later and nothing else.
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
    """Whether nobody else can write there: what lies there is run."""
    if not hasattr(os, "getuid"):
        return True
    about = folder.stat()
    return about.st_uid == os.getuid() and not about.st_mode & 0o022
