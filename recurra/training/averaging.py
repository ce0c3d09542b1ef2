"""Weight averaging, as in averaged stochastic gradient descent (ASGD).

Polyak & Juditsky (1992) average from the start; AWD-LSTM (Merity, Keskar & Socher 2018, algorithm 1) averages from the
update at which validation stops improving. The averaged weights are validated and saved; training continues from the
weights that are not averaged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

AVERAGINGS = ("off", "nonmonotone", "all")


class Average:
    """The running mean of parameters.

    Args:
        parameters: the parameters to average.
        kind: "off"; "all" averages from the first update; "nonmonotone" from the first validation whose loss is higher
            than the lowest loss of those more than `interval` validations earlier.
        interval: number of validations without a new lowest loss before "nonmonotone" averaging starts.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], kind: str, interval: int) -> None:
        self._parameters, self._kind, self._interval = list(parameters), kind, interval
        self._losses: list[float] = []
        self._count = 0
        self._mean: list[Tensor] = []
        if kind == "all":
            self._start()

    @property
    def running(self) -> bool:
        """Whether averaging has started."""
        return bool(self._mean)

    def update(self) -> None:
        """Adds the current parameters to the mean; called after each optimizer update."""
        if self._mean:
            self._count += 1
            with torch.no_grad():
                torch._foreach_lerp_(self._mean, [p.detach() for p in self._parameters], 1 / self._count)

    def observe(self, loss: float) -> bool:
        """Records a validation loss; returns whether averaging starts with it."""
        earlier = self._losses[: len(self._losses) - self._interval]
        self._losses.append(loss)
        if self._kind != "nonmonotone" or self._mean or not earlier or loss <= min(earlier):
            return False
        self._start()
        return True

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Context in which the parameters hold their mean, if it includes at least one update."""
        if not self._count:
            yield
            return
        current = [parameter.detach().clone() for parameter in self._parameters]
        self._write(self._mean)
        try:
            yield
        finally:
            self._write(current)

    def state_dict(self) -> dict[str, Any]:
        """The state, for a checkpoint."""
        return {"losses": list(self._losses), "count": self._count, "mean": list(self._mean)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state returned by `state_dict`."""
        self._losses, self._count = list(state["losses"]), state["count"]
        device = self._parameters[0].device
        self._mean = [tensor.to(device, copy=True) for tensor in state["mean"]]

    def _start(self) -> None:
        self._mean = [torch.zeros_like(parameter) for parameter in self._parameters]

    def _write(self, values: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self._parameters, values, strict=True):
                parameter.copy_(value)
