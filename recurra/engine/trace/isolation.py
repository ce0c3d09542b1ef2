"""Runs code in a separate thread, unaffected by the modes that the caller has enabled in its thread."""

from __future__ import annotations

import contextvars
import operator
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

_Result = TypeVar("_Result")
_local = threading.local()
_locks = [threading.Lock()]
if hasattr(os, "register_at_fork"):
    # A child process has no thread that could release the old lock.
    os.register_at_fork(after_in_child=lambda: operator.setitem(_locks, 0, threading.Lock()))


def is_isolated() -> bool:
    """Whether this thread was started by `run_isolated`."""
    return getattr(_local, "isolated", False)


def run_isolated(work: Callable[[], _Result]) -> _Result:
    """Runs a function in a new thread, one function at a time per process, and returns its result.

    PyTorch's modes belong to a thread: hooks on saved tensors, dispatch and function modes, gradients, inference,
    autocast, levels of `torch.func`. A new thread has none of them, so that a formula is traced in the same way,
    wherever its layer is called first.

    Raises:
        RuntimeError: called within itself, or no thread can be started.
        BaseException: any error of the function.
    """
    if is_isolated():
        raise RuntimeError("called during the tracing of another formula")
    results: list[_Result] = []
    errors: list[BaseException] = []
    context = contextvars.copy_context()

    def run() -> None:
        _local.isolated = True
        try:
            # The lock is taken here and not by the caller, so that the thread that holds it can never wait for it.
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
    """An unexpected error in one line."""
    text: Any = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
