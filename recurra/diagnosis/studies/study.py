"""The interface of a study: its settings, and its result of numbers, a figure and sentences."""

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
    """The settings of a study."""

    seed: int = 0
    """Seed of all random numbers; two runs with the same seed return the same numbers on one machine."""
    quick: bool = False
    """Fewer seeds, shorter sequences and less training, for a demonstration rather than for results."""
    progress: Callable[[str], None] = lambda line: None
    """Called with progress messages."""
    trained: Callable[[], tuple[ReadsText, str]] | None = None
    """Returns a trained language model and a text on which it was not trained, for the studies that need them."""

    def generator(self, *numbers: int) -> Generator:
        """Returns a separate generator for a part of a study, identified by integers below 1000."""
        seed = self.seed
        for number in numbers:
            seed = seed * 1009 + number + 1
        return Generator().manual_seed(seed)


@dataclass(frozen=True)
class StudyResult:
    """The result of a study."""

    sentences: Sequence[str]
    """A summary of the measurements."""
    numbers: dict[str, Any]
    """The data of the figure, in types that JSON supports."""
    picture: Picture
    tables: Sequence[Table] = field(default=())


@dataclass(frozen=True)
class Study:
    """An entry of the table of studies."""

    title: str
    """The question or the result, as a title."""
    run: Callable[[Setting], StudyResult]
    trains: bool = False
    """Whether it trains networks, and takes minutes rather than seconds."""
