"""Threads for compiled code, which runs outside the interpreter's lock.

Where PyTorch's own threads can be had they are used: after each of its operations they look again and again for the
next one, for some milliseconds, and threads of ours beside them would have half a core: half the speed, for small
layers. Elsewhere (another system, after a fork) a small pool of our own does the same.
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
"""Compiled code: where its arguments lie, which part of the work, of how many."""


class Team(NamedTuple):
    """OpenMP, as PyTorch has loaded it: three functions' addresses."""

    parallel: Callable[[int, int, int, int], None]
    thread_number: int
    threads: int


_lock = threading.Lock()
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}
# Threads do not survive a fork: what was started here is of no use in a child.
_process = os.getpid()


@functools.cache
def _team() -> Team | None:
    if not sys.platform.startswith("linux"):
        return None
    torch.ones(1, device="cpu").sum()  # loads what it loads when it first computes
    maps = Path("/proc/self/maps").read_text().splitlines()
    files = {line.split(None, 5)[5] for line in maps if len(line.split(None, 5)) == 6}
    found = [name for name in files if Path(name).name.startswith(("libgomp", "libiomp", "libomp"))]
    if len(found) != 1:  # none, or no telling which of them is PyTorch's
        return None
    library = ctypes.CDLL(found[0])
    if not hasattr(library, "GOMP_parallel"):
        return None
    parallel = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    addresses = [
        ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
        for name in ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
    ]
    return Team(parallel(addresses[0]), addresses[1], addresses[2])


def team() -> Team | None:
    """PyTorch's threads; None where they cannot be had."""
    return _team() if os.getpid() == _process else None


def run_parts(part: Part, body: int, data: int, parts: int) -> None:
    """Runs the parts of a piece of work at the same time; correct after a fork and from several threads.

    Args:
        part: runs one part.
        body: address of a function that runs the part of the thread of the team that calls it.
        data: where the arguments of both lie.
        parts: how many.
    """
    if parts == 1:
        part(data, 0, 1)
        return
    ours = team()
    if ours is not None:
        ours.parallel(body, data, parts, 0)
        return
    key = (os.getpid(), parts - 1)
    with _lock:
        pool = _pools.get(key)
        if pool is None:
            pool = _pools[key] = ThreadPoolExecutor(parts - 1, thread_name_prefix="recurra")
        # Under the lock: parts that wait for each other must all be taken before those of the next caller.
        others = [pool.submit(part, data, number, parts) for number in range(1, parts)]
    part(data, 0, parts)
    for other in others:
        other.result()
