"""The activations of the hidden units of a language model at every position of a text."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from recurra.cells import States, where
from recurra.errors import InputError
from recurra.tasks.language_model.network import Network

Activations = npt.NDArray[np.float16]

PARTS = 32
PRIMED = 512
"""Number of tokens before each part but the first that are read to initialise the state; earlier context is lost."""

_GREATEST = 65504.0
"""The largest float16; larger states are clipped."""


def shown_state(network: Network, state: str | None = None) -> str:
    """Returns the state whose units are shown: the named one, else c if the cell has one, else h.

    Raises:
        InputError: the cell has no such state.
    """
    states = network.recurrent.cell.states
    if state is not None and state not in states:
        raise InputError(f"state={state!r}: the cell has the states {', '.join(states)}")
    return state or ("c" if "c" in states else "h")


def activations(
    network: Network, tokens: npt.NDArray[np.int64], *, state: str, progress: Callable[[str], None] = lambda line: None
) -> list[Activations]:
    """Returns the state after each token, for each layer (N, H).

    The text is divided into equal parts that are read in one batch, each starting 512 tokens before the part.

    Args:
        network: the network of a language model.
        tokens: (N,) ids.
        state: one of the cell's states.
        progress: called with progress messages.
    """
    network.eval()
    parts = max(1, min(PARTS, len(tokens) // (4 * PRIMED)))
    length = math.ceil(len(tokens) / parts)
    starts = np.arange(parts) * length
    kept = [np.zeros((parts, length, layer.h.shape[-1]), np.float16) for layer in network.initial_state(1)]
    fresh = states = network.initial_state(parts)
    first = torch.arange(parts)[:, None] == 0
    with torch.inference_mode():
        for step in range(-PRIMED if parts > 1 else 0, length):
            if step == 0:
                # The first part has no tokens before it: its row read arbitrary ones so far, and is reset.
                states = tuple(where(first, a, b) for a, b in zip(fresh, states, strict=True))
            states = _advance(network, tokens[np.clip(starts + step, 0, len(tokens) - 1)], states)
            if step % 1000 == 0:
                progress(f"read {max(0, step) * parts:,} of {len(tokens):,} tokens")
            for place, one in enumerate(states) if step >= 0 else ():
                kept[place][:, step] = getattr(one, state).clamp(-_GREATEST, _GREATEST).numpy()
    return [layer.reshape(parts * length, -1)[: len(tokens)] for layer in kept]


def _advance(network: Network, tokens: npt.NDArray[np.int64], states: States) -> States:
    """The states of all layers after one token per row, (B,)."""
    x = network.embedding(torch.from_numpy(tokens))[None]  # (1, B, E)
    new: States = network.recurrent(x, states)[1]
    return new
