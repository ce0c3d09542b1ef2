"""The training run of a tagger: its files, its model, its final scores; and its row in the table of tasks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra.tasks.fields import field_names
from recurra.tasks.tagger.loading import load
from recurra.tasks.tagger.model import Tagger
from recurra.tasks.tagger.options import BatchOptions, EvaluationOptions, FileOptions, NetworkOptions
from recurra.tasks.tagger.prepared import DATA, TRAIN, VALID, VECTORS, Prepared, reopen
from recurra.tasks.tagger.preparing import prepare
from recurra.tasks.tagger.pretrained import FILE as WORDS
from recurra.tasks.tagger.report import report
from recurra.tasks.tagger.training import Training, corpus_scores, trial_seconds
from recurra.tasks.tagger.vocabulary import FILE
from recurra.tasks.task import Task


@dataclass(frozen=True)
class TaggerJob:
    """A `recurra.tasks.Job`: encoded sentences and how to learn from them."""

    data: Prepared
    network: NetworkOptions
    batches: BatchOptions

    def notes(self) -> list[str]:
        """Sizes of both parts, what labels mark, and what of the validation data is unknown."""
        return self.data.notes()

    def summary(self) -> str:
        """The training data in a line."""
        return self.data.summary()

    def new_model(self) -> Tagger:
        """A tagger for the data's vocabulary."""
        return Tagger.new(self.data.codec, self.network)

    def trainable(self, model: Tagger, *, seed: int, rank: int, world_size: int) -> Training:
        """Batches of the training sentences and their loss."""
        place = {"rank": rank, "world_size": world_size}
        return Training(model, self.data.train, self.data.valid, self.batches, seed=seed, **place)

    def final_seconds(self, model: Tagger) -> float:
        """The time of a short evaluation, scaled to the length of the validation data."""
        return trial_seconds(model, self.data.valid, model.forms(self.data.valid.forms))

    def final_scores(self, model: Tagger) -> dict[str, float]:
        """Loss and the scores of each label on the validation data."""
        scores = corpus_scores(model, self.data.valid, model.forms(self.data.valid.forms))
        del scores["error"]
        return scores

    def uniform_loss(self) -> float:
        """The sum over labels of the log of their number of values."""
        return sum(math.log(max(1, len(values))) for values in self.data.codec.vocabulary.labels)


def _prepare(
    files: Sequence[Path], options: Mapping[str, Any], folder: Path, like: Tagger | None, models: Mapping[str, Any]
) -> TaggerJob:
    data = prepare(
        files,
        options["data"],
        folder,
        start=None if like is None else like.codec,
        language_model=models.get("language_model"),
    )
    return TaggerJob(data, options["network"], options["batches"])


def _reopen(options: Mapping[str, Any], folder: Path) -> TaggerJob:
    return TaggerJob(reopen(folder), options["network"], options["batches"])


def _usage(folder: str) -> str:
    return f"recurra tag {folder} FILE\nrecurra evaluate {folder} FILE"


# What may still be chosen when training goes on from a trained tagger.
_FREE = {"dropout", "engine"}

TASK = Task(
    name="tagger",
    title="tagger",
    options={"data": FileOptions, "network": NetworkOptions, "batches": BatchOptions},
    training={"epochs": 15.0, "least_steps": 1000, "learning_rate": 3e-3, "beta2": 0.99, "patience": 10},
    shape=frozenset(field_names(NetworkOptions)) - _FREE | {"vectors", "max_vectors", "language_model"},
    prepare=_prepare,
    reopen=_reopen,
    load=load,
    usage=_usage,
    report=report,
    files=(FILE, WORDS),
    scratch=(f"{TRAIN}.", f"{VALID}.", FILE, DATA, WORDS, VECTORS),
    models=("language_model",),
    evaluation=EvaluationOptions,
)
