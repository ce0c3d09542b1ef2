"""What a run may be watched with. Who measures lives on a lower floor and is handed in by the caller."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Monitor(Protocol):
    """Looks at the network while it trains, and leaves no trace in it or in any random generator."""

    def measure(self) -> dict[str, float]:
        """Numbers by name, for the log and for TensorBoard."""
        ...

    def explain(self, batch: Any = None, state: Any = None) -> str:
        """What is wrong with the network's recurrence, in a sentence or two; empty where nothing is found.

        Args:
            batch: on which a number was not finite, where that is known.
            state: the carried state that the batch started from.
        """
        ...


def is_due(step: int) -> bool:
    """Whether an update, counted from 1, is measured whatever else happens: 1, 2, 4, 8, … while much changes."""
    return step & (step - 1) == 0


def copies(parameters: Iterable[tuple[str, nn.Parameter]]) -> dict[str, Tensor]:
    """The parameters as they are now, by name."""
    return {name: parameter.detach().clone() for name, parameter in parameters}


def update_ratios(before: dict[str, Tensor], parameters: Iterable[tuple[str, nn.Parameter]]) -> dict[str, float]:
    """|w' - w| / |w| of each parameter, by name; about 1e-3 is usual, 0 is a parameter that stands still.

    Parameters that were all 0 are left out.
    """
    ratios: dict[str, Tensor] = {}
    for name, parameter in parameters:
        size = before[name].norm()
        if size > 0:
            ratios[name] = (parameter.detach() - before[name]).norm() / size
    values = torch.stack(list(ratios.values())).tolist() if ratios else []
    return dict(zip(ratios, values, strict=True))
