"""The training run of a translator: its files, its model, its final scores; and its row in the table of tasks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recurra.tasks.fields import field_names
from recurra.tasks.task import Task
from recurra.tasks.translator.corpus import PairCorpus
from recurra.tasks.translator.evaluation import EvaluationOptions
from recurra.tasks.translator.model import Translator
from recurra.tasks.translator.options import BatchOptions, NetworkOptions, PairOptions
from recurra.tasks.translator.prepared import SCRATCH, Prepared, prepare, reopen
from recurra.tasks.translator.report import report
from recurra.tasks.translator.training import Training, trial_seconds, valid_scores
from recurra.tasks.translator.vocabulary import FILES


@dataclass(frozen=True)
class TranslatorJob:
    """A `recurra.tasks.Job`: encoded pairs and how to learn from them."""

    data: Prepared
    network: NetworkOptions
    batches: BatchOptions

    def notes(self) -> list[str]:
        """Sizes of both parts and of the vocabularies, what was left out, what is unknown."""
        return self.data.notes()

    def summary(self) -> str:
        """The training data in a line."""
        return self.data.summary()

    def new_model(self) -> Translator:
        """A translator for the data's vocabulary."""
        return Translator.new(self.data.vocabulary, self.network, _max_length_ratio(self.data.train))

    def trainable(self, model: Translator, *, seed: int, rank: int, world_size: int) -> Training:
        """Batches of the training pairs and their loss."""
        data, place = self.data, {"rank": rank, "world_size": world_size}
        return Training(model, data.train, data.valid, data.valid_pairs, self.batches, seed=seed, **place)

    def final_seconds(self, model: Translator) -> float:
        """The time of a short evaluation, scaled to the length of the validation data."""
        return trial_seconds(model, self.data.valid, self.data.valid_pairs, self.batches.best_by)

    def final_scores(self, model: Translator) -> dict[str, float]:
        """Loss and the scores of greedy outputs on the validation data."""
        told = valid_scores(model, self.data.valid, self.data.valid_pairs, self.batches.best_by)
        told.pop("error", None)
        return told

    def uniform_loss(self) -> float:
        """Log V of the target: the loss of a guess among equally likely symbols."""
        return math.log(self.data.vocabulary.target.size)


def _max_length_ratio(train: PairCorpus) -> float:
    """Target symbols a source symbol, ends counted: what nearly all training pairs keep below, and half more."""
    shares = (train.target_lengths + 1) / (train.source_lengths + 1)
    return float(1.5 * np.quantile(shares, 0.999))


def _prepare(
    files: Sequence[Path], options: Mapping[str, Any], folder: Path, like: Translator | None, _: Mapping[str, Any]
) -> TranslatorJob:
    data = prepare(files, options["data"], folder, start=None if like is None else like.vocabulary)
    return TranslatorJob(data, options["network"], options["batches"])


def _reopen(options: Mapping[str, Any], folder: Path) -> TranslatorJob:
    return TranslatorJob(reopen(folder), options["network"], options["batches"])


def _usage(folder: str) -> str:
    return f"recurra translate {folder} FILE\nrecurra evaluate {folder} PAIRS.tsv"


# What may still be chosen when training goes on from a trained translator.
_FREE = {"dropout", "recurrent_dropout", "engine"}
_VOCABULARY = {"source_unit", "target_unit", "joint", "vocabulary_size", "min_count"}

TASK = Task(
    name="translator",
    title="translator",
    options={"data": PairOptions, "network": NetworkOptions, "batches": BatchOptions},
    training={"epochs": 15.0, "least_steps": 2000, "learning_rate": 3e-3, "beta2": 0.99, "patience": 10},
    shape=frozenset(field_names(NetworkOptions)) - _FREE | _VOCABULARY,
    prepare=_prepare,
    reopen=_reopen,
    load=Translator.from_files,
    usage=_usage,
    report=report,
    files=FILES,
    scratch=SCRATCH,
    evaluation=EvaluationOptions,
)
