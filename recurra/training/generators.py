"""Every random generator of the process: seeded, kept and put back.

A training run owns the process's generators: dropout draws from PyTorch's global one, which no argument can replace.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch


def seed_generators(seed: int) -> None:
    """Seed Python's, NumPy's and PyTorch's generators, the last on every device."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def capture_generators() -> dict[str, Any]:
    """The state of every generator, in containers a checkpoint can hold."""
    kind, keys, position, has_gauss, gauss = cast(tuple[Any, ...], np.random.get_state(legacy=True))
    return {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_generators(state: dict[str, Any]) -> None:
    """Put every generator back to what `capture_generators` gave."""
    kind, keys, *rest = state["numpy"]
    random.setstate(state["python"])
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    # On a machine with other devices a run goes on, though not to the bit; the loop says so.
    for device, device_state in zip(range(torch.cuda.device_count()), state["cuda"], strict=False):
        torch.cuda.set_rng_state(device_state, device)


@contextmanager
def preserved_generators() -> Iterator[None]:
    """Whatever is drawn inside leaves every generator as it was."""
    state = capture_generators()
    try:
        yield
    finally:
        restore_generators(state)
