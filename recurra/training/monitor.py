"""The interface of a monitor, which measures the network while it trains; the caller passes an implementation.

`recurra.diagnosis.TrainingMonitor` is one. It is not imported here, because diagnosis builds on training.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Monitor(Protocol):
    """Measures the network during training without changing it or any random generator."""

    def measure(self) -> dict[str, float]:
        """Numbers by name, for the log and for TensorBoard."""
        ...

    def explain(self, batch: Any = None, state: Any = None) -> str:
        """Describes what is wrong with the recurrent layers in a sentence or two; empty if nothing is.

        Args:
            batch: the batch for which a number was not finite, if known.
            state: the carried state at the start of the batch.
        """
        ...


def is_due(step: int) -> bool:
    """Whether an update, counted from 1, is measured: 1, 2, 4, 8, …, because most changes happen early."""
    return step & (step - 1) == 0


def copy_parameters(parameters: Iterable[tuple[str, nn.Parameter]]) -> dict[str, Tensor]:
    """Returns copies of the parameters by name."""
    return {name: parameter.detach().clone() for name, parameter in parameters}


def update_ratios(before: dict[str, Tensor], parameters: Iterable[tuple[str, nn.Parameter]]) -> dict[str, float]:
    """Returns |w' - w| / |w| of each parameter, by name; about 1e-3 is usual, 0 means that it did not change.

    Parameters that were zero before are left out.
    """
    ratios: dict[str, Tensor] = {}
    for name, parameter in parameters:
        size = before[name].norm()
        if size > 0:
            ratios[name] = (parameter.detach() - before[name]).norm() / size
    values = torch.stack(list(ratios.values())).tolist() if ratios else []
    return dict(zip(ratios, values, strict=True))
