"""The adding and the copy problem, with a variable delay between input and answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

SYMBOLS = 8
COPIED = 5
CLOSE = 0.1


@dataclass(frozen=True)
class Problem:
    """A synthetic problem with a delay."""

    title: str
    inputs: int
    outputs: int
    chance: float
    """Accuracy of the best constant answer."""
    draw: Callable[[int, int, Generator], tuple[Tensor, Tensor]]
    """Takes delay, rows and a generator; returns x (T, rows, inputs) and the targets of the last steps."""
    loss: Callable[[Tensor, Tensor], Tensor]
    """The loss of the network's output (T, rows, outputs) and the targets."""
    right: Callable[[Tensor, Tensor], Tensor]
    """The accuracy of the network's output (T, rows, outputs) and the targets."""


def draw_adding(delay: int, rows: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draws numbers from 0 to 1, two of them marked: one in the first tenth of `delay` steps, one in the last half.

    The target after the last step is the sum of the two (Hochreiter & Schmidhuber 1997, section 5.4).
    """
    numbers = torch.rand(delay, rows, generator=generator)
    first = torch.randint(max(1, delay // 10), (rows,), generator=generator)
    second = torch.randint(delay // 2, delay, (rows,), generator=generator)
    marks = torch.zeros(delay, rows)
    columns = torch.arange(rows)
    marks[first, columns], marks[second, columns] = 1, 1
    return torch.stack([numbers, marks], -1), (numbers * marks).sum(0)


def draw_copy(delay: int, rows: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draws five of eight symbols, `delay` blanks, then five cues at which the symbols are to be repeated in order.

    After Hochreiter & Schmidhuber (1997), section 5.2, in the form of Arjovsky, Shah & Bengio (2016), with half as many
    symbols.
    """
    symbols = torch.randint(SYMBOLS, (COPIED, rows), generator=generator)
    blank = torch.full((delay, rows), SYMBOLS)
    cue = torch.full((COPIED, rows), SYMBOLS + 1)
    return F.one_hot(torch.cat([symbols, blank, cue]), SYMBOLS + 2).float(), symbols


PROBLEMS = {
    "adding": Problem(
        "adding problem",
        2,
        1,
        # The share of points (u, v) of the unit square for which u + v is within 0.1 of 1.
        CLOSE * (2 - CLOSE),
        draw_adding,
        lambda y, target: (y[-1, :, 0] - target).square().mean(),
        lambda y, target: ((y[-1, :, 0] - target).abs() < CLOSE).double().mean(),
    ),
    "copy": Problem(
        "copy problem",
        SYMBOLS + 2,
        SYMBOLS,
        1 / SYMBOLS,
        draw_copy,
        lambda y, target: F.cross_entropy(y[-COPIED:].flatten(0, 1), target.flatten()),
        lambda y, target: (y[-COPIED:].argmax(-1) == target).double().mean(),
    ),
}
"""By name."""
