"""The lock of a folder in which a run writes: one run at a time, and none is left behind by a process that ended.

The operating system holds the lock (`flock`) for the process that opened the file, so that it vanishes with the
process, after kill -9 too. The file names the process and its computer for the message to others.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recurra.errors import InputError

LOCK = ".recurra.lock"
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_UNSIGNED = 1.0  # seconds that who has just taken the lock may need to write its name into the file


def check_unlocked(folder: Path) -> None:
    """Refuses a folder in which a run is writing; changes nothing.

    Raises:
        InputError: another process holds the lock, with its number.
    """
    with contextlib.suppress(OSError):
        handle = os.open(folder / LOCK, os.O_RDWR)
        try:
            _take(handle, folder)
        finally:
            os.close(handle)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder, which must exist; the file of the lock is removed on leaving.

    Raises:
        InputError: another process holds it, with its number, or the folder cannot be written to.
    """
    handle = _open(folder)
    try:
        _sign(handle)
        yield
    finally:
        # Removed while it is held: who opened it meanwhile sees that it is no longer the file of this name.
        with contextlib.suppress(OSError):
            os.unlink(folder / LOCK)
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)  # also for processes that inherited it
        os.close(handle)


def _open(folder: Path) -> int:
    path = folder / LOCK
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be written to ({error.strerror}). Make it writable or make room, or copy it away"
            ) from error
        try:
            _take(handle, folder)
            if _is_still(path, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _take(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _held(folder, _holder(handle)) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise InputError(f"{folder}: cannot be locked ({error.strerror}). Give a folder on another disk") from error
        # A network disk without locks: what the file says is all there is.
        holder = _read(handle)
        if holder and (holder["host"] != socket.gethostname() or _is_alive(holder)):
            raise _held(folder, holder) from None


def _held(folder: Path, holder: dict[str, Any]) -> InputError:
    who, away = "another process", ""
    if holder:
        who = f"process {holder['process']}"
        if holder["host"] != socket.gethostname():
            who += f" on {holder['host']}"
            away = f", or delete {folder / LOCK} if that process has ended"
    return InputError(f"{folder}: {who} is training in it. Wait until that has ended or give another folder{away}")


def _holder(handle: int) -> dict[str, Any]:
    """Who holds the lock; empty where the file does not say so."""
    waited_until = time.monotonic() + _UNSIGNED
    while True:
        holder = _read(handle)
        if holder and (holder["host"] != socket.gethostname() or _is_alive(holder)):
            return holder
        if time.monotonic() > waited_until:
            return {}
        time.sleep(0.02)


def _sign(handle: int) -> None:
    content = json.dumps({"process": os.getpid(), "host": socket.gethostname()}).encode()
    # A full disk takes no name; the lock holds without it.
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, content, 0)


def _read(handle: int) -> dict[str, Any]:
    try:
        content = json.loads(os.pread(handle, 4096, 0))
    except (OSError, ValueError):
        return {}
    whole = isinstance(content, dict) and type(content.get("process")) is int and isinstance(content.get("host"), str)
    return content if whole else {}


def _is_alive(holder: dict[str, Any]) -> bool:
    try:
        os.kill(holder["process"], 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _is_still(path: Path, handle: int) -> bool:
    """Whether the file that is locked is the one of this name: its last holder may have removed it."""
    try:
        there = os.stat(path)
    except OSError:
        return False
    here = os.fstat(handle)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
