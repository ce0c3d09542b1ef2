"""Seeding, capturing and restoring all random generators of the process.

A training run seeds the global generators: dropout draws from PyTorch's global generator, and takes no other.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch


def seed_generators(seed: int) -> None:
    """Seeds Python's, NumPy's and PyTorch's generators, the last on every device."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def capture_generators() -> dict[str, Any]:
    """Returns the state of every generator, in containers that a checkpoint accepts."""
    kind, keys, position, has_gauss, gauss = cast(tuple[Any, ...], np.random.get_state(legacy=True))
    return {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_generators(state: dict[str, Any]) -> None:
    """Restores the state returned by `capture_generators`."""
    kind, keys, *rest = state["numpy"]
    random.setstate(state["python"])
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    # On a machine with other devices the run continues, but not with the same bits; `train` reports this.
    for device, device_state in zip(range(torch.cuda.device_count()), state["cuda"], strict=False):
        torch.cuda.set_rng_state(device_state, device)


@contextmanager
def preserved_generators() -> Iterator[None]:
    """Context that restores every generator on exit."""
    state = capture_generators()
    try:
        yield
    finally:
        restore_generators(state)
