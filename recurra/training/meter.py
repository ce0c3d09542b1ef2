"""The sums of losses, tokens and gradient norms over an interval of training.

On a GPU reading a number synchronises with the device, so that losses and norms are kept as tensors and read together
at the end of an interval; on a CPU they are read immediately.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any, NamedTuple

import torch
from torch import Tensor

_READ_EVERY = 100  # updates between two reads from the device, at most


class Interval(NamedTuple):
    """The means over an interval of consecutive updates.

    Attributes:
        step: Number of updates done.
        epoch: Number of completed passes over the data.
        loss: Nats per token.
        tokens_per_second: Tokens per second of training, without the time of validation.
        gradient_norm: Mean gradient norm before clipping.
        learning_rate: Learning rate of the last update.
        seconds: Seconds of training since the start of the run, over all its sessions.
        shown: The loss in the task's units, from `Trainable.describe`.
        current_epoch: The pass, from 1, that the last update belongs to; None if unknown.
    """

    step: int
    epoch: int
    loss: float
    tokens_per_second: float
    gradient_norm: float
    learning_rate: float
    seconds: float
    shown: dict[str, float]
    current_epoch: int | None = None


class Meter:
    """Sums since the last line of the log, and the last gradient norms.

    Attributes:
        updates: Number of updates in the sums.
        last_norms: Norms before clipping of the last five updates, for the error message when one is not finite.
        broken: The first update (from 1) whose loss or norm is not finite, and which of the two.
    """

    def __init__(self) -> None:
        self.updates = 0
        self.last_norms: deque[float] = deque(maxlen=5)
        self.broken: tuple[int, str] | None = None
        self._loss = self._tokens = self._norm = self._seconds = 0.0
        self._waiting: list[tuple[int, Tensor, Tensor]] = []
        self._since = 0.0

    def add(self, step: int, *, total: Tensor, tokens: int, norm: Tensor) -> None:
        """Adds update `step`: its summed loss in nats (scalar), its number of tokens, its gradient norm (scalar)."""
        self.updates += 1
        self._tokens += tokens
        self._waiting.append((step, total, norm))
        if total.device.type == "cpu" or len(self._waiting) >= _READ_EVERY:
            self.read()

    def read(self) -> None:
        """Reads pending numbers from the device, and sets `broken` at the first that is not finite."""
        if not self._waiting:
            return
        numbers = torch.stack([torch.stack([total, norm]) for _, total, norm in self._waiting]).tolist()
        for (step, _, _), (total, norm) in zip(self._waiting, numbers, strict=True):
            if self.broken is None and not (math.isfinite(total) and math.isfinite(norm)):
                self.broken = step, "gradient norm" if math.isfinite(total) else "loss"
            self.last_norms.append(norm)
            self._loss += total
            self._norm += norm
        self._waiting.clear()

    def start(self, now: float) -> None:
        """Starts the interval's clock at `now`, in seconds."""
        self._since = now

    def pause(self, now: float) -> None:
        """Pauses the interval's clock during work other than training."""
        self._seconds += now - self._since
        self._since = now

    def elapsed(self, now: float) -> float:
        """Seconds of training in the sums."""
        return self._seconds + now - self._since

    def sums(self, now: float) -> tuple[float, float, float]:
        """Loss in nats, tokens, and seconds, of this process."""
        self.read()
        return self._loss, self._tokens, self.elapsed(now)

    def mean_norm(self) -> float:
        """Mean gradient norm before clipping."""
        self.read()
        return self._norm / self.updates

    def reset(self, now: float) -> None:
        """Starts the next interval."""
        self.updates = 0
        self._loss = self._tokens = self._norm = self._seconds = 0.0
        self._since = now

    def state_dict(self, now: float) -> dict[str, Any]:
        """The sums so far: a checkpoint can be written in the middle of an interval."""
        loss, tokens, seconds = self.sums(now)
        sums = {"loss": loss, "tokens": tokens, "norm": self._norm, "seconds": seconds}
        return {**sums, "updates": self.updates, "last_norms": list(self.last_norms)}

    def load_state_dict(self, state: dict[str, Any], now: float) -> None:
        """Restores the state returned by `state_dict`, with the clock started at `now`."""
        self._loss, self._tokens, self._norm = state["loss"], state["tokens"], state["norm"]
        self._seconds, self._since = state["seconds"], now
        self.updates, self.last_norms = state["updates"], deque(state["last_norms"], maxlen=5)
        self._waiting.clear()
        self.broken = None
