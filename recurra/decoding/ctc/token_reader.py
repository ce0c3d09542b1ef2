"""A language model that reads several prefixes at once, whose states are kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.cells import States
from recurra.decoding.ctc.scorer import Scores
from recurra.decoding.step import Step


class Reading(NamedTuple):
    """A language model after some tokens; a value that no later step changes."""

    state: Tensor
    """(D,) all tensors of the model's state, one after the other."""
    log_probs: npt.NDArray[Any]
    """(V,) log-probabilities of the next token."""


class TokenReader:
    """Reads tokens with a language model: batches of readings that have come from different steps.

    Args:
        step: the language model.
        state: its state before the first token, of one row.
    """

    def __init__(self, step: Step[States], state: States) -> None:
        self._step, self._initial = step, state
        tensors = [tensor for layer in state for tensor in layer]
        self._device = tensors[0].device
        self._shapes = [tensor.shape[1:] for tensor in tensors]
        self._sizes = [tensor.numel() for tensor in tensors]

    @torch.inference_mode()
    def start(self, tokens: Sequence[int]) -> Reading:
        """Returns the reading after the first tokens, one or more."""
        state = torch.cat([tensor.flatten() for layer in self._initial for tensor in layer])
        first = self._read([Reading(state, np.zeros(0))], tokens[:1])
        return self.advance(first, [tokens[1:]])[0][0]

    @torch.inference_mode()
    def advance(self, readings: Sequence[Reading], tokens: Sequence[Sequence[int]]) -> tuple[list[Reading], Scores]:
        """Reads zero or more tokens after each of N readings.

        Returns:
            The readings after them, and the sums (N,) of the log-probabilities of these tokens.
        """
        current, totals = list(readings), np.zeros(len(readings))
        for place in range(max(map(len, tokens), default=0)):
            rows = [row for row, several in enumerate(tokens) if len(several) > place]
            following = [tokens[row][place] for row in rows]
            for row, token in zip(rows, following, strict=True):
                totals[row] += current[row].log_probs[token]
            for row, reading in zip(rows, self._read([current[row] for row in rows], following), strict=True):
                current[row] = reading
        return current, totals

    def log_probs(self, readings: Sequence[Reading], tokens: Sequence[Sequence[int]]) -> Scores:
        """Returns the sums (N,) of the log-probabilities of one or more tokens after each reading."""
        before, totals = self.advance(readings, [several[:-1] for several in tokens])
        last = [reading.log_probs[several[-1]] for reading, several in zip(before, tokens, strict=True)]
        return totals + np.array(last, dtype=np.float64)

    def _read(self, readings: Sequence[Reading], tokens: Sequence[int]) -> list[Reading]:
        states = torch.stack([reading.state for reading in readings])  # (N, D)
        log_probs, after = self._step(torch.tensor(tokens, device=self._device), self._unpacked(states))
        packed = torch.cat([tensor.flatten(1) for layer in after for tensor in layer], dim=1)  # (N, D)
        return [Reading(*row) for row in zip(packed.unbind(), log_probs.float().cpu().numpy(), strict=True)]

    def _unpacked(self, packed: Tensor) -> States:
        parts = iter(zip(packed.split(self._sizes, dim=1), self._shapes, strict=True))

        def unpacked(like: Tensor) -> Tensor:
            part, shape = next(parts)
            tensor: Tensor = part.reshape(len(packed), *shape).to(like.dtype)
            return tensor

        return tuple(layer.map(unpacked) for layer in self._initial)
