"""A small pool of threads for compiled code, which runs outside the interpreter's lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

_lock = threading.Lock()
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def run_all(calls: Sequence[Callable[[], None]]) -> None:
    """Runs the calls at the same time, one of them in this thread; correct after a fork and from several threads."""
    if len(calls) == 1:
        calls[0]()
        return
    # Threads do not survive a fork: a child makes its own pool. Each caller's work is a handful of whole time loops, so
    # that sharing one pool among several callers only means taking turns.
    key = (os.getpid(), len(calls) - 1)
    with _lock:
        pool = _pools.get(key)
        if pool is None:
            pool = _pools[key] = ThreadPoolExecutor(len(calls) - 1, thread_name_prefix="recurra")
    others = [pool.submit(call) for call in calls[1:]]
    calls[0]()
    for other in others:
        other.result()
