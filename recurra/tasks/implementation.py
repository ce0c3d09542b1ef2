"""The contracts between a task and everything that trains, saves, loads and evaluates its models.

A task reads files into `Data`, creates a `Model` for them, and defines an `Objective`: the batches, the loss and the
scores. What every task does in the same way with these three is in `recurra.tasks.job`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from recurra.cells import Cell
from recurra.tasks.fields import field_names
from recurra.tasks.recurrent_options import FREE
from recurra.training import Loss, Updates


class Data(Protocol):
    """The training and validation data of a run, checked, encoded and written into a folder."""

    def notes(self) -> list[str]:
        """Returns what a person should know before training starts, one line each."""
        ...

    def summary(self) -> str:
        """Returns the training data in one line, for the card of the model."""
        ...

    def uniform_loss(self) -> float:
        """Returns the loss of a guess among equally likely values, in nats per token."""
        ...


class Model(Protocol):
    """A network with everything that its use needs; the content of a bundle.

    Further abilities, each a protocol from which the class derives, are in `recurra.tasks.capabilities`.
    """

    @property
    def name(self) -> str:
        """The name of the task in the table."""
        ...

    @property
    def network(self) -> nn.Module:
        """The network, whose weights the bundle stores."""
        ...

    @classmethod
    def create(cls, data: Any, options: Any) -> Any:
        """Returns a model for the vocabulary of `data`, with random weights from torch's global generator.

        Args:
            data: the `Data` of a run.
            options: the group of options that describes the network.
        """
        ...

    @classmethod
    def from_files(cls, config: dict[str, Any], folder: Path, *, cell: Cell | None = None) -> Any:
        """Returns the model that `config()` and the files in a folder describe, its weights not yet loaded.

        Raises:
            InputError: a field or a file is missing, damaged, or does not fit the others.
        """
        ...

    def config(self) -> dict[str, Any]:
        """Returns what rebuilds the network, as JSON can represent it."""
        ...

    def settings(self) -> dict[str, Any]:
        """Returns the options of training that this model determines, for a run that starts from it."""
        ...

    def files(self) -> dict[str, str]:
        """Returns the task's own files, name to text: vocabulary, tokenizer."""
        ...


class Objective(Protocol):
    """What a model learns from data: batches, their loss, and scores on the validation data.

    Deriving from this class gives the defaults of the last two methods.
    """

    network: nn.Module
    """The network to train, on its device."""
    token_name: str
    """What the loss counts: "character", "byte", "word", "token"."""

    def batches(self, *, seed: int, rank: int, world_size: int) -> Updates:
        """Returns the training data in random order, the share of one process of several."""
        ...

    def loss(self, network: nn.Module, batch: Any, state: Any) -> Loss:
        """Returns the loss of a batch; see `recurra.training.Trainable.loss`."""
        ...

    def score(self, *, final: bool) -> dict[str, float]:
        """Returns the scores on the validation data: `loss` in nats per token, and others.

        An `error`, such as 1 - F1, replaces the loss in choosing the best model.

        Args:
            final: whether this is the trained model, scored once as `recurra evaluate` would, or one of the many
                validations during training, which may approximate.
        """
        ...

    def score_part(self) -> float:
        """Scores a small part of the validation data, to measure the time; returns the share that it is, above 0."""
        ...

    def describe(self, loss: float) -> dict[str, float]:
        """Converts a loss in nats per token to the usual units; none by default."""
        return {}

    def rebuild_state(self, state: Any) -> Any:
        """Converts a carried state from a checkpoint to the types that `loss` expects; unchanged by default."""
        return state


class Prepare(Protocol):
    """Checks and encodes the files of a run."""

    def __call__(
        self,
        files: Sequence[Path],
        options: Mapping[str, Any],
        folder: Path,
        *,
        start: Any,
        models: Mapping[str, Any],
        note: Callable[[str], None],
    ) -> Data:
        """Returns the data, written into a folder.

        Args:
            files: the training files.
            options: the options by group.
            folder: where the encoded data go.
            start: the model whose training continues, which determines the vocabulary; None for a new one.
            models: other models by the name of the option that names their folder.
            note: shows a line of progress, for files whose reading takes long.

        Raises:
            InputError: a file or an option cannot be used.
        """
        ...


class Reopen(Protocol):
    """Reads what `Prepare` wrote."""

    def __call__(self, folder: Path) -> Data:
        """Returns the same data, for `--resume` and for the other processes of a distributed run."""
        ...


class MakeObjective(Protocol):
    """Defines what a model learns."""

    def __call__(self, model: Any, data: Any, options: Mapping[str, Any]) -> Objective:
        """Returns the objective of a model on the data of a run, with its options by group."""
        ...


@dataclass(frozen=True, kw_only=True)
class Implementation:
    """The implementation of a task, which `recurra.tasks.task.Task` names.

    Args:
        model: the class of its models; which capabilities they have is decided by the protocols it derives from.
        options: the task's groups of options, name to dataclass; those of training are added to them.
        training: defaults of `TrainingOptions` that fit this task better than the general ones.
        prepare: checks and encodes the files of a run.
        reopen: reads what `prepare` wrote.
        objective: what a model learns from the data.
        report: formats the scores of `evaluate` for a terminal.
        network: the group of options that describes the network; a model's config stores it under the same name.
        free: options of the network that may be changed when training continues from a trained model.
        fixed: options of other groups that a trained model determines, such as its vocabulary's.
        models: options that are folders of trained models, which the caller opens.
        evaluation: a dataclass of the options of `evaluate`, if there are any.
        evaluation_models: options of `evaluate` that are folders of trained models, which the caller opens.
    """

    model: type[Model]
    options: Mapping[str, type]
    training: Mapping[str, Any]
    prepare: Prepare
    reopen: Reopen
    objective: MakeObjective
    report: Any
    network: str = "network"
    free: frozenset[str] = FREE
    fixed: frozenset[str] = frozenset()
    models: tuple[str, ...] = ()
    evaluation: type | None = None
    evaluation_models: tuple[str, ...] = ()

    @property
    def determined(self) -> frozenset[str]:
        """The options that training from a trained model takes from that model."""
        return frozenset(field_names(self.options[self.network])) - self.free | self.fixed
