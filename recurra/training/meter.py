"""What an interval of training measured: sums of losses, tokens and gradient norms, read as seldom as the device asks.

On a GPU every number read waits for the device, so losses and norms are kept as tensors and read together at the end of
an interval; on a CPU they are read at once.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any, NamedTuple

import torch
from torch import Tensor

_READ_EVERY = 100  # updates whose numbers may wait on the device


class Interval(NamedTuple):
    """The means over some updates in a row.

    Attributes:
        step: Updates done.
        epoch: Passes over the data completed.
        loss: Nats per token.
        tokens_per_second: Losses counted per second of training, validation left out.
        gradient_norm: Mean norm of the gradients before clipping.
        learning_rate: That of the last update.
        seconds: Trained since the start of the run, over all its sessions.
        shown: The loss as the field reports it, from `Trainable.describe`.
        current_epoch: The pass, from 1, that the last update belongs to; None where nobody says.
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
        updates: Updates in the sums.
        last_norms: Norms before clipping of the last five updates, for the message when one is not finite.
        broken: The first update (from 1) whose loss or norm was found not to be finite, and which of the two.
    """

    def __init__(self) -> None:
        self.updates = 0
        self.last_norms: deque[float] = deque(maxlen=5)
        self.broken: tuple[int, str] | None = None
        self._loss = self._tokens = self._norm = self._seconds = 0.0
        self._waiting: list[tuple[int, Tensor, Tensor]] = []
        self._since = 0.0

    def add(self, step: int, *, total: Tensor, tokens: int, norm: Tensor) -> None:
        """Count update `step`: its summed loss in nats, the tokens it sums over and its gradient norm, both scalars."""
        self.updates += 1
        self._tokens += tokens
        self._waiting.append((step, total, norm))
        if total.device.type == "cpu" or len(self._waiting) >= _READ_EVERY:
            self.read()

    def read(self) -> None:
        """Read what waits on the device, and note the first number that is not finite in `broken`."""
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
        """Run the interval's clock from now, in seconds."""
        self._since = now

    def pause(self, now: float) -> None:
        """Stop the interval's clock, while something other than training takes time."""
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
        """Begin the next interval."""
        self.updates = 0
        self._loss = self._tokens = self._norm = self._seconds = 0.0
        self._since = now

    def state_dict(self, now: float) -> dict[str, Any]:
        """The sums so far: an interval may have a checkpoint in its middle."""
        loss, tokens, seconds = self.sums(now)
        sums = {"loss": loss, "tokens": tokens, "norm": self._norm, "seconds": seconds}
        return {**sums, "updates": self.updates, "last_norms": list(self.last_norms)}

    def load_state_dict(self, state: dict[str, Any], now: float) -> None:
        """Return to what `state_dict` gave, with the clock running from now."""
        self._loss, self._tokens, self._norm = state["loss"], state["tokens"], state["norm"]
        self._seconds, self._since = state["seconds"], now
        self.updates, self.last_norms = state["updates"], deque(state["last_norms"], maxlen=5)
        self._waiting.clear()
        self.broken = None
