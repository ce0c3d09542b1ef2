"""A batch of a language model with its losses, for who examines the network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from recurra.errors import InputError
from recurra.tasks.capabilities import Probe
from recurra.tasks.language_model.evaluation import Tokens, nats_of
from recurra.tasks.language_model.network import Network, Output


def probe(network: Network, tokens: Tokens, *, rows: int, steps: int) -> Probe:
    """Windows spread evenly over a text, each read from a fresh state, and their losses (T, B).

    Args:
        network: of a language model.
        tokens: (N,) ids.
        rows: windows at most, B.
        steps: of each at most, T.

    Raises:
        InputError: a text of one token, rows or steps below 1.
    """
    for name, value in (("rows", rows), ("steps", steps)):
        if value < 1:
            raise InputError(f"{name}={value}: expected a whole number of 1 or more")
    if len(tokens) < 2:
        raise InputError(f"the text has {len(tokens)} tokens: 2 are needed, one to read and one to predict")
    steps = min(steps, len(tokens) - 1)
    rows = min(rows, (len(tokens) - 1) // steps)
    starts = np.linspace(0, len(tokens) - 1 - steps, rows).astype(np.int64)
    places = starts[None] + np.arange(steps + 1)[:, None]  # (T + 1, B)
    device = next(network.parameters()).device
    window = torch.from_numpy(tokens[places].astype(np.int64)).to(device)

    def losses(output: Output) -> Tensor:
        return nats_of(output.scores, window[1:])

    return Probe((window[:-1], network.initial_state(rows)), losses)
