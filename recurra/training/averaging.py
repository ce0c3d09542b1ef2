"""The mean of the weights over the end of a run, as averaged stochastic gradient descent takes it.

Polyak & Juditsky (1992) average from the start, ASGD of AWD-LSTM (Merity, Keskar & Socher 2018, algorithm 1) from the
update at which validation stops improving. The averaged weights are what is validated and saved; training itself goes
on from its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

AVERAGINGS = ("off", "nonmonotone", "all")


class Average:
    """The running mean of some parameters.

    Args:
        parameters: whose mean.
        kind: "off"; "all" from the first update; "nonmonotone" from the validation whose loss is above the lowest of
            those more than `interval` validations ago.
        interval: validations without a new lowest loss that are borne with.
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
        """Whether the mean is being taken."""
        return bool(self._mean)

    def update(self) -> None:
        """Take the parameters after an optimizer update into the mean."""
        if self._mean:
            self._count += 1
            with torch.no_grad():
                torch._foreach_lerp_(self._mean, [p.detach() for p in self._parameters], 1 / self._count)

    def observe(self, loss: float) -> bool:
        """Take note of a validation; whether averaging begins with it."""
        earlier = self._losses[: len(self._losses) - self._interval]
        self._losses.append(loss)
        if self._kind != "nonmonotone" or self._mean or not earlier or loss <= min(earlier):
            return False
        self._start()
        return True

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The parameters are the mean inside, where there is one of an update or more."""
        if not self._count:
            yield
            return
        own = [parameter.detach().clone() for parameter in self._parameters]
        self._write(self._mean)
        try:
            yield
        finally:
            self._write(own)

    def state_dict(self) -> dict[str, Any]:
        """Everything above, for a checkpoint."""
        return {"losses": list(self._losses), "count": self._count, "mean": list(self._mean)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to what `state_dict` gave."""
        self._losses, self._count = list(state["losses"]), state["count"]
        device = self._parameters[0].device
        self._mean = [tensor.to(device, copy=True) for tensor in state["mean"]]

    def _start(self) -> None:
        self._mean = [torch.zeros_like(parameter) for parameter in self._parameters]

    def _write(self, values: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self._parameters, values, strict=True):
                parameter.copy_(value)
