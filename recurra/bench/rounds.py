"""Times of several calls, taken in turns, so that a machine whose speed drifts drifts for all of them."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import Any

# A call is repeated until a round has this many seconds of it: clocks and waking threads cost microseconds.
_SHORTEST = 0.02


def medians(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Seconds of each call by name: the median of the rounds, after one that is not counted.

    Garbage is collected between rounds and not in them. Each round begins with another call, so that none always finds
    the caches, or the threads still spinning, of the same predecessor.
    """
    names = list(calls)
    times: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        calls[name]()  # compiles, packs, allocates
    for round_ in range(rounds):
        first = round_ % len(names)
        with _no_collection():
            for name in names[first:] + names[:first]:
                times[name].append(_seconds(calls[name]))
    return {name: statistics.median(found) for name, found in times.items()}


def _seconds(call: Callable[[], Any]) -> float:
    began, done = time.perf_counter(), 0
    while True:
        call()
        done += 1
        spent = time.perf_counter() - began
        if spent >= _SHORTEST:
            return spent / done


@contextmanager
def _no_collection() -> Any:
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
