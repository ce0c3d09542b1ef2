"""Threads for compiled code, which runs without the interpreter's lock.

PyTorch's OpenMP threads are used where possible: after each operation they spin for some milliseconds, and other
threads would get half of each core meanwhile, which halves the speed of small layers. Elsewhere (on other systems,
after a fork) a small thread pool is used.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch

Part = Callable[[int, int, int], None]
"""Compiled code: the address of its arguments, the number of a part of the work, the number of parts."""


class Team(NamedTuple):
    """Three functions of the OpenMP library that PyTorch has loaded."""

    parallel: Callable[[int, int, int, int], None]
    thread_number: int
    threads: int


_lock = threading.Lock()
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}
# Threads do not survive a fork: the team of this process cannot be used in a child.
_process = os.getpid()


@functools.cache
def _team() -> Team | None:
    if not sys.platform.startswith("linux"):
        return None
    torch.ones(1, device="cpu").sum()  # the first operation loads the OpenMP library
    maps = Path("/proc/self/maps").read_text().splitlines()
    files = {line.split(None, 5)[5] for line in maps if len(line.split(None, 5)) == 6}
    runtimes = [name for name in files if Path(name).name.startswith(("libgomp", "libiomp", "libomp"))]
    if len(runtimes) != 1:  # none, or several, of which PyTorch's is unknown
        return None
    library = ctypes.CDLL(runtimes[0])
    if not hasattr(library, "GOMP_parallel"):
        return None
    parallel = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    addresses = [
        ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
        for name in ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
    ]
    return Team(parallel(addresses[0]), addresses[1], addresses[2])


def team() -> Team | None:
    """PyTorch's threads; None if they are not available."""
    return _team() if os.getpid() == _process else None


def run_parts(part: Part, body: int, data: int, parts: int) -> None:
    """Runs the parts of a piece of work at the same time; safe after a fork and from several threads.

    Args:
        part: runs one part.
        body: address of a function that a thread of the team calls to run its part.
        data: address of the arguments of both.
        parts: number of parts.
    """
    if parts == 1:
        part(data, 0, 1)
        return
    openmp = team()
    if openmp is not None:
        openmp.parallel(body, data, parts, 0)
        return
    # A pool per number of parts, so that every part has a thread: parts wait for each other at barriers.
    key = (os.getpid(), parts - 1)
    with _lock:
        pool = _pools.get(key)
        if pool is None:
            pool = _pools[key] = ThreadPoolExecutor(parts - 1, thread_name_prefix="recurra")
        # Under the lock: all parts of one caller must be queued before those of the next. Otherwise two callers could
        # each hold half of the threads and wait for the other half for ever.
        others = [pool.submit(part, data, number, parts) for number in range(1, parts)]
    part(data, 0, parts)
    for other in others:
        other.result()
