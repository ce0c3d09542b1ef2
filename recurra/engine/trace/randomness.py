"""The global random generators: detects which of them code draws from, and restores their states."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator
from typing import Any

import torch


@contextlib.contextmanager
def preserved_generators() -> Iterator[list[str]]:
    """Restores the states of the global generators; yields a list, filled at the end with the generators drawn from."""
    before, drawn = _states(), list[str]()
    try:
        yield drawn
    finally:
        after = _states()
        for name, state in before.items():
            if not _equal(state, after[name]):
                drawn.append(name)
                _restore(name, state)


def _states() -> dict[str, Any]:
    states: dict[str, Any] = {"torch": torch.default_generator.get_state(), "random": random.getstate()}
    if "numpy.random" in sys.modules:
        states["numpy.random"] = sys.modules["numpy.random"].get_state(legacy=False)
    return states


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return repr(_numbers(one)) == repr(_numbers(other))
    return bool(one == other)


def _numbers(state: dict[str, Any]) -> list[Any]:
    """NumPy's state as plain numbers, because the repr of a long array leaves numbers out."""
    inner = {name: getattr(one, "tolist", lambda one=one: one)() for name, one in state["state"].items()}
    return [inner, {name: one for name, one in state.items() if name != "state"}]


def _restore(name: str, state: Any) -> None:
    if name == "torch":
        torch.default_generator.set_state(state)
    elif name == "random":
        random.setstate(state)
    else:
        sys.modules["numpy.random"].set_state(state)
