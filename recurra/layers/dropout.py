"""Dropout with one mask per sequence."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recurra.layers import options


class LockedDropout(nn.Module):
    """Sets features to 0 for a whole sequence: one mask (1, B, H) for all steps (Gal & Ghahramani 2016).

    Args:
        p: the fraction of features set to 0 while training; the others are scaled by 1 / (1 - p).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        options.check_dropout("LockedDropout", p, "p")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """X (T, B, H) with dropped features; x itself in evaluation."""
        return self.drop(x, self.p) if self.training and self.p else x

    @staticmethod
    def drop(x: Tensor, p: float) -> Tensor:
        """X (T, B, H) times one mask for all steps, drawn from torch's global generator as in `nn.Dropout`."""
        mask = torch.empty_like(x[:1]).bernoulli_(1 - p)
        return x * (mask if p == 1 else mask.div_(1 - p))  # at p = 1 all is 0, and 1 / (1 - p) infinite

    def extra_repr(self) -> str:
        """The rate, as nn.Dropout prints it."""
        return f"p={self.p}"
