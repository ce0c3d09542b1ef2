"""The lock of the folder that a run writes to: one run at a time, and no lock remains when its process has ended.

The operating system holds the lock (`flock`) for the process that opened the file, and releases it when the process
ends, also after kill -9. The file contains the process number and the host, for the error message of other processes.
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
_UNSIGNED = 1.0  # seconds between taking the lock and writing the process number to the file, at most


def check_unlocked(folder: Path) -> None:
    """Refuses a folder that a run is writing to; changes nothing.

    Raises:
        InputError: another process holds the lock; the message contains its number.
    """
    with contextlib.suppress(OSError):
        handle = os.open(folder / LOCK, os.O_RDWR)
        try:
            _take(handle, folder)
        finally:
            os.close(handle)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Context that holds the lock of an existing folder; the lock file is removed on exit.

    Raises:
        InputError: another process holds the lock, or the folder cannot be written to.
    """
    handle = _open(folder)
    try:
        _write_holder(handle)
        yield
    finally:
        # Removed before it is unlocked: a process that opened it meanwhile detects that the path has another file.
        # In the other order it could lock the file just before its removal, and a third process a new file.
        with contextlib.suppress(OSError):
            os.unlink(folder / LOCK)
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)  # explicitly, because child processes may have inherited the descriptor
        os.close(handle)


def _open(folder: Path) -> int:
    path = folder / LOCK
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be written to ({error.strerror}). Make it writable, free disk space, or copy it "
                "to another disk"
            ) from error
        try:
            _take(handle, folder)
            if _is_current(path, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _take(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _locked_error(folder, _wait_for_holder(handle)) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise InputError(f"{folder}: cannot be locked ({error.strerror}). Choose another disk") from error
        # A network disk without locks: the content of the file is the only information.
        holder = _read(handle)
        if holder and (holder["host"] != socket.gethostname() or _is_alive(holder)):
            raise _locked_error(folder, holder) from None


def _locked_error(folder: Path, holder: dict[str, Any]) -> InputError:
    who, remedy = "another process", ""
    if holder:
        who = f"process {holder['process']}"
        if holder["host"] != socket.gethostname():
            who += f" on {holder['host']}"
            remedy = f", or delete {folder / LOCK} if that process has ended"
    return InputError(f"{folder}: {who} is training in it. Wait until it has ended, or choose another folder{remedy}")


def _wait_for_holder(handle: int) -> dict[str, Any]:
    """The process and host that hold the lock; empty if the file does not contain them within `_UNSIGNED`."""
    deadline = time.monotonic() + _UNSIGNED
    while True:
        holder = _read(handle)
        if holder and (holder["host"] != socket.gethostname() or _is_alive(holder)):
            return holder
        if time.monotonic() > deadline:
            return {}
        time.sleep(0.02)


def _write_holder(handle: int) -> None:
    content = json.dumps({"process": os.getpid(), "host": socket.gethostname()}).encode()
    # On a full disk the content is not written; the lock is effective without it.
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, content, 0)


def _read(handle: int) -> dict[str, Any]:
    """The content of the lock file; empty if it is not valid."""
    try:
        content = json.loads(os.pread(handle, 4096, 0))
    except (OSError, ValueError):
        return {}
    valid = isinstance(content, dict) and type(content.get("process")) is int and isinstance(content.get("host"), str)
    return content if valid else {}


def _is_alive(holder: dict[str, Any]) -> bool:
    try:
        os.kill(holder["process"], 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _is_current(path: Path, handle: int) -> bool:
    """Whether the path still names the locked file, which its last holder may have removed."""
    try:
        present = os.stat(path)
    except OSError:
        return False
    opened = os.fstat(handle)
    return (present.st_dev, present.st_ino) == (opened.st_dev, opened.st_ino)
