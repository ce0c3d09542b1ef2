"""The two classic problems of memory, with as many steps between question and answer as one wants."""

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
    """A problem by delay."""

    title: str
    inputs: int
    outputs: int
    chance: float
    """Accuracy of the best answer that looks at nothing."""
    draw: Callable[[int, int, Generator], tuple[Tensor, Tensor]]
    """Delay, rows and a generator to x (T, rows, inputs) and the targets of the last steps."""
    loss: Callable[[Tensor, Tensor], Tensor]
    """Of what the network gives (T, rows, outputs), and the targets."""
    right: Callable[[Tensor, Tensor], Tensor]
    """The share of right answers, likewise."""


def draw_adding(delay: int, rows: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Numbers from 0 to 1, two of them marked, one in the first tenth of `delay` steps, one in the last half.

    The sum of the two is the answer, after the last step (Hochreiter & Schmidhuber 1997, section 5.4).
    """
    numbers = torch.rand(delay, rows, generator=generator)
    first = torch.randint(max(1, delay // 10), (rows,), generator=generator)
    second = torch.randint(delay // 2, delay, (rows,), generator=generator)
    marks = torch.zeros(delay, rows)
    columns = torch.arange(rows)
    marks[first, columns], marks[second, columns] = 1, 1
    return torch.stack([numbers, marks], -1), (numbers * marks).sum(0)


def draw_copy(delay: int, rows: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Five symbols of eight, `delay` blanks, then five cues at which the symbols are to be said in their order.

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
        # u + v lies within 0.1 of 1 for so many of the points (u, v) of the unit square.
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
