"""What models can do beyond training, each as a protocol that the class of a task's models derives from.

A command asks for the capability that it needs. Deriving is what counts, not having a method of that name: `score` of
a language model takes lines and that of a translator pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from recurra.data import Tokenizer


def has_capability(kind: type, capability: type) -> bool:
    """Whether a class of models derives from a capability, or is that of `capability`."""
    return capability in kind.__mro__


class Evaluates(Protocol):
    """Scores on files: `recurra evaluate`."""

    def evaluate(self, files: Any, folder: Any = None) -> dict[str, Any]:
        """Every score on files; `folder` is for what is written meanwhile. A task may add options as keywords."""
        ...


class Probe(NamedTuple):
    """A batch on which a network is examined."""

    batch: tuple[Any, ...]
    """What the network is called with."""
    loss: Callable[[Any], Tensor]
    """From its output to the losses, nats, one a step and row; their sum where they cannot be told apart."""


class Probes(Protocol):
    """Yields batches to examine the network on: `recurra diagnose`."""

    def probe(self, files: Sequence[Path], prepared: Path, *, rows: int, steps: int) -> Probe:
        """A batch and its losses.

        Args:
            files: the data; none for what was held out when the model was trained.
            prepared: the folder in which training left that.
            rows: sequences at most.
            steps: of each at most.

        Raises:
            InputError: a file that cannot be read, or none while training left nothing.
        """
        ...


class Generates(Protocol):
    """Writes text from a prompt: `recurra generate`."""

    def stream(self, prompt: str = "", **options: Any) -> Iterator[list[str]]:
        """Writes on from a prompt, piece by piece."""
        ...

    def generate_many(self, prompt: str = "", *, samples: int, **options: Any) -> list[str]:
        """Several texts that continue a prompt, without the prompt."""
        ...

    def unknown_in(self, text: str) -> list[str]:
        """The symbols of a text outside the vocabulary, each once."""
        ...


class ScoresLines(Protocol):
    """Scores each line of a text by itself: `recurra score`."""

    def score(self, lines: Iterable[str]) -> Iterator[Any]:
        """The surprisal of each line, in order, read as they are needed."""
        ...


class ReadsText(Protocol):
    """Reads plain text token by token, called with ids and a state: `recurra units` and `recurra study truncation`."""

    network: Any
    """Called with ids (T, B) and a state, returns scores, the new state and what each layer emitted."""
    tokenizer: Tokenizer

    def held_out_text(self, prepared: Path) -> str | None:
        """The text that was held out in training; None where the folder that training left has it no more."""
        ...
