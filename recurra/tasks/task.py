"""What every task offers. Training, bundles, the command line and serving know tasks by this contract only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

from recurra.training import Trainable


class Model(Protocol):
    """A trained or untrained network with all it needs to be used; what a bundle holds."""

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

    def evaluate(self, files: Any, folder: Any = None, **options: Any) -> dict[str, Any]:
        """Every score on files; `folder` is for what is written meanwhile, the options are the task's own."""
        ...


class Probe(NamedTuple):
    """A batch for who examines a network; `Model.probe(files, prepared, rows=…, steps=…)` of a task that has one."""

    batch: tuple[Any, ...]
    """What the network is called with."""
    loss: Callable[[Any], Tensor]
    """From its output to the losses, nats, one a step and row; their sum where they cannot be told apart."""


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


@dataclass(frozen=True, kw_only=True)
class Task:
    """One row of the table of tasks.

    Args:
        name: as on the command line.
        title: a few words, for cards and help.
        options: the task's groups of options, name to dataclass; training's own come on top.
        training: defaults of `TrainingOptions` that fit this task better than the general ones.
        shape: options that settle the network and its files, which training from a bundle takes from there.
        prepare: files, options by group, a folder, perhaps a model to go on from, and other models by the name of the
            option that names their folder, to a `Job`.
        reopen: options by group and the folder of an earlier `prepare`, to the same `Job`.
        load: a bundle's config, its folder and perhaps a cell, to a model without weights.
        usage: lines of a shell that use a trained model in a folder, for its card.
        report: the scores of `Model.evaluate` as a person reads them.
        files: the names of the task's own files in a bundle, of which some may be absent.
        models: options that are folders of trained models, which the caller opens.
        evaluation: a dataclass of the options of `Model.evaluate`, where it has some.
        scratch: what the names of the files begin with that `prepare` writes.
    """

    name: str
    title: str
    options: Mapping[str, type]
    training: Mapping[str, Any]
    shape: frozenset[str]
    prepare: Callable[[Sequence[Path], Mapping[str, Any], Path, Any, Mapping[str, Any]], Job]
    reopen: Callable[[Mapping[str, Any], Path], Job]
    load: Callable[..., Any]
    usage: Callable[[str], str]
    report: Callable[[dict[str, Any]], str]
    files: tuple[str, ...]
    scratch: tuple[str, ...]
    models: tuple[str, ...] = ()
    evaluation: type | None = None
