"""How well a language model predicts a text."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.cells import where
from recurra.data import contiguous
from recurra.tasks.language_model.network import Network
from recurra.tasks.language_model.scores import Nats

Tokens = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]

# Scores of this many numbers at a time: 64 MiB in float32.
SCORES = 1 << 24


def nats_in_order(network: Network, tokens: Tokens, *, vocabulary: int, unknown: Ids | None = None) -> Nats:
    """The losses over a text read from its start to its end with the state carried.

    Args:
        network: of a language model, in evaluation mode.
        tokens: (N,) ids; N - 1 of them are predicted.
        vocabulary: symbols, V.
        unknown: (U,) int64, ascending: where tokens stand for text outside the vocabulary; none where None.
    """
    total, on_unknown, state, device, place = 0.0, 0.0, network.initial_state(1), _device(network), 1
    for inputs, targets in contiguous(tokens, window=min(4096, max(1, SCORES // vocabulary))):
        scores, state, *_ = network(inputs.to(device), state)  # (T, 1, V)
        nats = nats_of(scores, targets.to(device)).double()
        total += nats.sum().item()
        on_unknown += _on(nats, np.arange(place, place + len(targets))[:, None], unknown)
        place += len(targets)
    return Nats(total, on_unknown, len(tokens) - 1)


def nats_in_parts(
    network: Network,
    tokens: Tokens,
    *,
    vocabulary: int,
    unknown: Ids | None = None,
    parts: int = 32,
    context: int = 256,
) -> Nats:
    """`nats_in_order` many times as fast: the text in equal parts at once, each read from `context` tokens before it.

    What differs from `nats_in_order` is what a state remembers for longer than `context` tokens.
    """
    steps = len(tokens) - 1
    parts = max(1, min(parts, steps // max(1, context)))
    length = math.ceil(steps / parts)
    starts = np.arange(parts)[None] * length  # (1, parts)
    device, state = _device(network), network.initial_state(parts)
    start, total, on_unknown = state, 0.0, 0.0
    window = max(1, SCORES // (vocabulary * parts))
    first = torch.arange(parts, device=device)[:, None] == 0  # (parts, 1)
    for begin, end in _spans(-context if parts > 1 else 0, length, window):
        if begin == 0:
            # The first part has nothing before it; what its column read so far was only there to keep step.
            state = tuple(where(first, fresh, one) for fresh, one in zip(start, state, strict=True))
        places = starts + np.arange(begin, end)[:, None]  # (T, parts)
        inputs, targets = (_take(tokens, places + shift).to(device) for shift in (0, 1))
        scores, state, *_ = network(inputs, state)
        if begin >= 0:
            inside = torch.from_numpy(places < steps).to(device)
            nats = (nats_of(scores, targets) * inside).double()
            total += nats.sum().item()
            on_unknown += _on(nats, places + 1, unknown)
    return Nats(total, on_unknown, steps)


def loss_by_position(network: Network, tokens: Tokens, *, vocabulary: int, length: int = 256) -> list[dict[str, Any]]:
    """The mean loss by how many tokens have been read since a fresh state: 1, 2, 3 to 4, 5 to 8, …

    Returns:
        For each range `{"from": 5, "to": 8, "loss": nats per token}`; empty for a text of one token.
    """
    length = min(length, len(tokens) - 1)
    starts = np.arange(0, len(tokens) - length, length)[None]  # (1, windows)
    rows = max(1, min(64, SCORES // (vocabulary * max(1, length))))
    device, total = _device(network), torch.zeros(length, dtype=torch.float64)
    for some in np.array_split(starts, math.ceil(starts.shape[1] / rows), axis=1):
        places = some + np.arange(length)[:, None]  # (T, rows)
        inputs, targets = (_take(tokens, places + shift).to(device) for shift in (0, 1))
        scores, *_ = network(inputs, network.initial_state(inputs.shape[1]))
        total += nats_of(scores, targets).double().sum(1).cpu()
    mean, found, begin = total / starts.shape[1], [], 0
    while begin < length:
        end = min(max(1, 2 * begin), length)
        found.append({"from": begin + 1, "to": end, "loss": float(mean[begin:end].mean())})
        begin = end
    return found


def _spans(begin: int, end: int, window: int) -> list[tuple[int, int]]:
    """[begin, end) in windows, with a border at 0."""
    borders = [*range(begin, 0, window), *range(0, end, window), end]
    return list(pairwise(borders))


def _take(tokens: Tokens, places: npt.NDArray[np.int64]) -> Tensor:
    """tokens[places] as int64; places outside the text give some token of it."""
    return torch.from_numpy(tokens[places.clip(0, len(tokens) - 1)].astype(np.int64))


def nats_of(scores: Tensor, targets: Tensor) -> Tensor:
    """The loss of every step, (T, B), of scores (T, B, V)."""
    return F.cross_entropy(scores.flatten(0, 1).float(), targets.flatten(), reduction="none").view(targets.shape)


def _on(nats: Tensor, places: Ids, chosen: Ids | None) -> float:
    """The sum of the losses (T, B) of the tokens at places (T, B) that are among the chosen ones, ascending."""
    if chosen is None or not len(chosen):
        return 0.0
    nearest = chosen[np.searchsorted(chosen, places).clip(max=len(chosen) - 1)]
    return float((nats * torch.from_numpy(nearest == places).to(nats.device)).sum())


def _device(network: Network) -> torch.device:
    return next(network.parameters()).device
