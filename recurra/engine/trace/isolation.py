"""Code run in a thread of its own: what a caller has switched on for its thread has no part in it."""

from __future__ import annotations

import contextvars
import operator
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

_Made = TypeVar("_Made")
_local = threading.local()
_locks = [threading.Lock()]
if hasattr(os, "register_at_fork"):
    # In a child process no thread is there that could release the old one.
    os.register_at_fork(after_in_child=lambda: operator.setitem(_locks, 0, threading.Lock()))


def is_apart() -> bool:
    """Whether this thread is one that `apart` has started."""
    return getattr(_local, "apart", False)


def apart(work: Callable[[], _Made]) -> _Made:
    """The result of some work, one at a time in this process.

    PyTorch's modes belong to a thread: hooks on saved tensors, dispatch and function modes, gradients, inference,
    autocast, levels of `torch.func`. A new thread has none of them, so that one formula is traced in one way, wherever
    its layer is called first.

    Raises:
        RuntimeError: called within itself, or no thread can be started.
        BaseException: whatever the work raises.
    """
    if is_apart():
        raise RuntimeError("within the trace of another formula")
    results: list[_Made] = []
    errors: list[BaseException] = []
    context = contextvars.copy_context()

    def run() -> None:
        _local.apart = True
        try:
            with _locks[0]:
                results.append(context.run(work))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="recurra-trace", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def error_as_reason(error: BaseException) -> str:
    """An unforeseen error in a line."""
    text: Any = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
