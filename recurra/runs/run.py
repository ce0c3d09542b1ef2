"""A run: its settings, and the folder of its files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from recurra.errors import RecurraError
from recurra.recipe import Recipe
from recurra.stopping import Interruption
from recurra.tasks import Task
from recurra.tasks.fields import to_plain
from recurra.training import Progress


@dataclass(frozen=True)
class Run:
    """The settings of one run."""

    task: Task
    recipe: Recipe
    """Its files, its options by group, and the model from which it starts."""
    out: Path
    """The folder that the user named."""
    place: Path
    """The folder of its files: `out`, or one inside it as long as an older model stays there."""
    overwrite: bool
    """Whether the model in `out`, if there is one, is replaced."""
    source: Any
    """The loaded model from which it starts; None for random weights."""
    progress: Progress
    """Receives the progress and notes."""
    interruption: Interruption
    """Handles Ctrl-C and SIGTERM."""
    started: float
    """`time.monotonic()` at the start."""

    @property
    def options(self) -> Mapping[str, Any]:
        """The options by group."""
        return self.recipe.options

    def flat_options(self) -> dict[str, Any]:
        """Returns the options of all groups by name."""
        return {name: value for group in self.options.values() for name, value in to_plain(group).items()}


@dataclass(frozen=True)
class Trained:
    """The result of a run; everything is saved."""

    model: Any
    """The model, or a list of models, one per seed."""
    divergences: list[str]
    """A message for each model that is much worse than a uniform guess."""

    def checked(self) -> Any:
        """Returns the model.

        Raises:
            RecurraError: training diverged.
        """
        if self.divergences:
            raise RecurraError(" ".join(self.divergences))
        return self.model


@contextlib.contextmanager
def holding(run: Run, opened: Callable[[], AbstractContextManager[Path]]) -> Iterator[Run]:
    """Yields the run with the folder of its files, which the main process opens and locks for all processes."""
    rank, world_size = ranks()
    if rank > 0:
        yield replace(run, place=_broadcast(run.out))
        return
    with opened() as place:
        yield replace(run, place=_broadcast(place) if world_size > 1 else place)


def _broadcast(place: Path) -> Path:
    """Returns the path of the main process, on every process."""
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    PartialState()
    return Path(broadcast_object_list([str(place)])[0])


def ranks() -> tuple[int, int]:
    """Returns the rank of this process and the number of processes, which torchrun and accelerate launch set."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def device() -> torch.device:
    """Returns the GPU of this process, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")
