"""The output layer of a recurrent network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recurra.cells import Activation, activation
from recurra.errors import InputError


class Readout(nn.Module):
    """y_t = g(W_yh h_t + b_y).

    Args:
        hidden_size: features of h.
        output_size: features of y.
        g: the name of an activation or a function; the identity by default, which leaves scores for a softmax.
        bias: whether b_y exists.
        tied: a parameter (output_size, hidden_size) to use as W_yh, such as an embedding's weight (Press & Wolf 2017).
        device: as torch.nn.
        dtype: as torch.nn.

    Raises:
        InputError: a tied weight of another shape.
    """

    def __init__(
        self,
        hidden_size: int,
        output_size: int,
        g: str | Activation = "identity",
        *,
        bias: bool = True,
        tied: Tensor | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.g, self._g = g, activation(g)
        if tied is not None and tuple(tied.shape) != (output_size, hidden_size):
            raise InputError(
                f"Readout: the tied weight is {tuple(tied.shape)}, expected {(output_size, hidden_size)}: "
                "an embedding can be tied only if its size equals that of the last hidden layer"
            )
        # A parameter of another module, such as an embedding, is registered here as well: one tensor, two names.
        self.weight = (
            tied
            if tied is not None
            else nn.Parameter(torch.empty(output_size, hidden_size, device=device, dtype=dtype))
        )
        self.bias = nn.Parameter(torch.empty(output_size, device=device, dtype=dtype)) if bias else None
        bound = hidden_size**-0.5  # as nn.Linear begins
        for parameter in (None if tied is not None else self.weight, self.bias):
            if parameter is not None:
                nn.init.uniform_(parameter, -bound, bound)

    def forward(self, h: Tensor) -> Tensor:
        """Y (…, output_size) of h (…, hidden_size)."""
        return self._g(torch.nn.functional.linear(h, self.weight, self.bias))

    def extra_repr(self) -> str:
        """The sizes and g."""
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, g={self.g!r}"
