"""Times of several calls in turns, so that a drift of the machine's speed affects all of them."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import Any

# A call is repeated for at least this many seconds per round, because clocks and waking threads take microseconds.
_SHORTEST = 0.02


def medians(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Seconds of each call by name: the median of the rounds, after one call that is not counted.

    Garbage is collected only between rounds. Each round begins with another call, so that no call always follows the
    same one, whose caches and spinning threads would affect it.
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
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def _seconds(call: Callable[[], Any]) -> float:
    began, calls_made = time.perf_counter(), 0
    while True:
        call()
        calls_made += 1
        spent = time.perf_counter() - began
        if spent >= _SHORTEST:
            return spent / calls_made


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
