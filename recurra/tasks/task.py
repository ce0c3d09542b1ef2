"""What every task offers. Training, bundles and the command line know tasks by this contract only.

A row of the table is importable without torch, so that `recurra --help` can list a task's verbs at once: what a task
runs is behind `Task.implementation`, which is imported when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import nn

    from recurra.training import Trainable


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A command of a task.

    Args:
        name: `tag` for `recurra tag`.
        function: where it is, as module:function. The module is imported when the command is called.
        help: a sentence for the list of commands; the function's docstring is the help of the command itself.
    """

    name: str
    function: str
    help: str


@dataclass(frozen=True, kw_only=True)
class Task:
    """One row of the table of tasks: all that a user meets of a task.

    Args:
        name: as on the command line.
        title: a few words, for cards and help.
        loss_per: what a loss counts: "token", "word", "frame".
        train_help: the help of `recurra train NAME`: a sentence, then paragraphs and examples.
        files_name: what its training files are called in the usage, such as TEXT.
        files_help: what they are.
        evaluate_help: what `recurra evaluate` does with a model of this task, a sentence or two.
        evaluate_files: what it is evaluated on.
        evaluate_example: command lines that evaluate one.
        usage: command lines that use a trained model, for its card, with DIR for its folder.
        verbs: commands of the task's own.
        implement: imports and returns what the task runs.
    """

    name: str
    title: str
    loss_per: str
    train_help: str
    files_name: str
    files_help: str
    evaluate_help: str
    evaluate_files: str
    evaluate_example: str
    usage: str
    implement: Callable[[], Implementation]
    verbs: tuple[Verb, ...] = ()

    @property
    def implementation(self) -> Implementation:
        """What the task runs; imports torch."""
        return self.implement()


@dataclass(frozen=True, kw_only=True)
class Implementation:
    """What a task runs.

    Args:
        model: the class of its models; which capabilities they have is what this class derives from.
        options: the task's groups of options, name to dataclass; training's own come on top.
        training: defaults of `TrainingOptions` that fit this task better than the general ones.
        shape: options that settle the network and its files, which training from a bundle takes from there.
        prepare: files, options by group, a folder, perhaps a model to go on from, and other models by the name of the
            option that names their folder, to a `Job`.
        reopen: options by group and the folder of an earlier `prepare`, to the same `Job`.
        load: a bundle's config, its folder and perhaps a cell, to a model without weights.
        report: the scores of `evaluate` as a person reads them.
        network: the group of options that describes the network; a model's config holds it under the same name.
        models: options that are folders of trained models, which the caller opens.
        evaluation: a dataclass of the options of `evaluate`, where it has some.
    """

    model: type
    options: Mapping[str, type]
    training: Mapping[str, Any]
    shape: frozenset[str]
    prepare: Callable[[Sequence[Path], Mapping[str, Any], Path, Any, Mapping[str, Any]], Job]
    reopen: Callable[[Mapping[str, Any], Path], Job]
    load: Callable[..., Any]
    report: Callable[[dict[str, Any]], str]
    network: str = "network"
    models: tuple[str, ...] = ()
    evaluation: type | None = None


class Model(Protocol):
    """A trained or untrained network with all it needs to be used; what a bundle holds.

    What else it can do, each as a protocol that its class derives from, is in `recurra.tasks.capabilities`.
    """

    @property
    def name(self) -> str:
        """The task's name in the table."""
        ...

    @property
    def network(self) -> nn.Module:
        """The network, whose weights the bundle keeps."""
        ...

    def config(self) -> dict[str, Any]:
        """What rebuilds the network, as JSON can hold it."""
        ...

    def settings(self) -> dict[str, Any]:
        """The options of training that this model settles, for a run that starts from it."""
        ...

    def files(self) -> dict[str, str]:
        """The task's own files, name to text: vocabulary, tokenizer."""
        ...


class Job(Protocol):
    """A training run's data, checked and encoded, and what is made of it."""

    def notes(self) -> list[str]:
        """What a person should know before training starts, a line each."""
        ...

    def summary(self) -> str:
        """What the model is trained on, for its card."""
        ...

    def new_model(self) -> Any:
        """A `Model` with fresh weights, from torch's global generator."""
        ...

    def trainable(self, model: Any, *, seed: int, rank: int, world_size: int) -> Trainable:
        """The model and the data as the training loop wants them."""
        ...

    def final_seconds(self, model: Any) -> float:
        """How long `final_scores` will take, in seconds, by a short trial."""
        ...

    def final_scores(self, model: Any) -> dict[str, float]:
        """The scores of the finished model on the held-out data, `loss` among them."""
        ...

    def uniform_loss(self) -> float:
        """The `loss` of a guess among equally likely values, which a trained model has to be better than."""
        ...
