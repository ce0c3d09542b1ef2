"""Arguments of a cell's step: the recurrent pre-activations and the per-unit vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor


class Recurrence:
    """The recurrent pre-activations u of one step: `u.i` is (W_hh h_{t-1} + b_hh)_i, (B, H).

    `u("n", v)` is (W_hh v + b_hh)_n for a computed v (B, H), such as r ∘ h of the first GRU.
    """

    def __init__(
        self, ready: Mapping[str, Tensor], product: Any, late: Mapping[str, Callable[[], Tensor]] | None = None
    ) -> None:
        self.__dict__.update(ready)
        self._product, self._late = product, late

    def __getattr__(self, name: str) -> Tensor:
        # A gate whose product had a computed input when the step was last examined, and that the step reads as u.n now.
        late = self.__dict__.get("_late") or {}
        if name not in late:
            raise AttributeError(f"there is no gate {name!r}", name=name, obj=self)
        product: Tensor = late[name]()
        return product

    def __call__(self, gate: str, v: Tensor) -> Tensor:
        """(W_hh v + b_hh) of one gate's rows, (B, H)."""
        product: Tensor = self._product(gate, v)
        return product


class Vectors:
    """The per-unit vectors p of a cell by name, (H,), and the layer's normalisation of a state.

    `p.norm("c", c)` is c (B, H) normalised over its units if the layer has `layer_norm=True`, else c itself: a formula
    applies it where the state is read, h = o tanh(norm(c)), and carries c without normalisation.
    """

    def __init__(self, by_name: Mapping[str, Tensor], norm: Callable[[str, Tensor], Tensor] | None = None) -> None:
        self.__dict__.update(by_name)
        self._norm = norm

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Tensor: ...

    def norm(self, state: str, value: Tensor) -> Tensor:
        """The value (B, H), normalised with the gain and shift of that state if the layer normalises."""
        return value if self._norm is None else self._norm(state, value)
