"""The signature of a step: the operators that it calls, with every number in them, as a key.

The step is run on two rows while a `Recorder` notes each call. Whatever changes the computation, at any depth (a class
attribute, a helper, a configuration object, replaced code), shows in that list, so that it is recorded again at each
call of a layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from recurra.cells.cell import Formula


@dataclass(frozen=True)
class Outline:
    """The names and the formula of a cell at one moment, unaffected by later changes of the cell."""

    gates: tuple[str, ...]
    recurrent: tuple[str, ...]
    states: tuple[str, ...]
    vectors: tuple[str, ...]
    formula: Formula

    @property
    def second_phase(self) -> tuple[str, ...]:
        """The gates whose recurrent product has a computed input."""
        return self.formula.second_phase


class Signature:
    """A key of what a step computes: equal for equal computations.

    Attributes:
        outline: the names of the cell.
        obstacle: the reason why the calls do not determine what the step computes; None if they do.
        reads_values: whether the step converts tensors to Python numbers.
    """

    def __init__(self, outline: Outline, calls: tuple[Any, ...], obstacle: str | None, *, reads_values: bool) -> None:
        self.outline, self.obstacle, self.reads_values = outline, obstacle, reads_values
        self._key = (outline, calls)
        self._hash = hash(self._key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signature) and self._hash == other._hash and self._key == other._key

    def equals_but_for_gradients(self, other: Signature) -> bool:
        """Whether two signatures differ only in calls that `torch.no_grad` within a step makes."""
        return self._key[0] == other._key[0] and self._without_grad_mode() == other._without_grad_mode()

    def _without_grad_mode(self) -> list[Any]:
        return [call for call in self._key[1] if call[:1] != (torch._C._set_grad_enabled,)]
