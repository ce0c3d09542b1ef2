"""What models can do beyond training, each as a protocol that the class of a task's models derives from.

A command requires the capability that it needs. A class has a capability if it derives from the protocol; methods of
the same name are not enough, because `score` of a language model takes lines and that of a translator takes pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from recurra.data import Tokenizer


def has_capability(kind: type, capability: type) -> bool:
    """Whether a class of models derives from a capability, or is that class itself."""
    return capability in kind.__mro__


class Evaluates(Protocol):
    """Computes scores on files, for `recurra evaluate`."""

    def evaluate(self, files: Any, folder: Any = None) -> dict[str, Any]:
        """Returns all scores on files, by name.

        Args:
            files: the files; their type depends on the task, which may add options as keywords.
            folder: where temporary files are written; None for a temporary folder.
        """
        ...


class Probe(NamedTuple):
    """A batch on which a network is examined."""

    batch: tuple[Any, ...]
    """The arguments of the network."""
    loss: Callable[[Any], Tensor]
    """Takes the output of the network; returns the losses in nats, (T, B), or their sum if they are not separable."""


class Probes(Protocol):
    """Provides a batch on which the network is examined, for `recurra diagnose`."""

    def probe(self, files: Sequence[Path], prepared: Path, *, rows: int, steps: int) -> Probe:
        """Returns a batch and its losses.

        Args:
            files: the data; none for the validation data of training.
            prepared: the folder in which training keeps its data.
            rows: largest number of sequences.
            steps: largest number of steps of a sequence.

        Raises:
            InputError: a file cannot be read, or there are no files and no validation data.
        """
        ...


class Generates(Protocol):
    """Generates text from a prompt, for `recurra generate`."""

    def stream(self, prompt: str = "", **options: Any) -> Iterator[list[str]]:
        """Continues a prompt; returns an iterator over the next piece of each text."""
        ...

    def generate_many(self, prompt: str = "", *, samples: int, **options: Any) -> list[str]:
        """Returns several texts that continue a prompt, without the prompt."""
        ...

    def unknown_in(self, text: str) -> list[str]:
        """Returns the different symbols of a text that are outside the vocabulary."""
        ...


class ScoresLines(Protocol):
    """Scores each line of a text separately, for `recurra score`."""

    def score(self, lines: Iterable[str]) -> Iterator[Any]:
        """Returns an iterator over the surprisal of each line, in order; lines are read as they are needed."""
        ...


class ReadsText(Protocol):
    """Reads plain text token by token, for `recurra units` and `recurra study truncation`."""

    network: Any
    """Takes ids (T, B) and a state; returns scores (T, B, V), the next state, and outputs of the last layer."""
    tokenizer: Tokenizer

    def held_out_text(self, prepared: Path) -> str | None:
        """Returns the validation text from the folder in which training keeps its data; None if it is not there."""
        ...
