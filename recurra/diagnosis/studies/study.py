"""What a study is: a question, numbers that answer it, a figure, and sentences with the measured figures in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Generator

from recurra.diagnosis.plots import Picture
from recurra.diagnosis.report import Table
from recurra.tasks.capabilities import ReadsText


@dataclass(frozen=True)
class Setting:
    """What every study is given."""

    seed: int = 0
    """Of everything that is drawn; two runs with one seed give the same numbers on one machine."""
    quick: bool = False
    """Fewer seeds, shorter sequences and less training: to see a study work, not to quote it."""
    tell: Callable[[str], None] = lambda line: None
    """Called with a line whenever there is progress to tell."""
    trained: Callable[[], tuple[ReadsText, str]] | None = None
    """Gives a trained language model and a text it was not trained on, for the studies that need one."""

    def generator(self, *numbers: int) -> Generator:
        """A generator of its own for one part of a study, named by whole numbers below 1000."""
        seed = self.seed
        for number in numbers:
            seed = seed * 1009 + number + 1
        return Generator().manual_seed(seed)


@dataclass(frozen=True)
class Finding:
    """What a study found."""

    sentences: Sequence[str]
    """What was measured, in words."""
    numbers: dict[str, Any]
    """All that the figure shows, as JSON can hold it."""
    picture: Picture
    tables: Sequence[Table] = field(default=())


@dataclass(frozen=True)
class Study:
    """One row of the table of studies."""

    title: str
    """Its question or its result, as a headline."""
    run: Callable[[Setting], Finding]
    trains: bool = False
    """Whether networks are trained, so that it takes minutes rather than seconds."""
