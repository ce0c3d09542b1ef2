"""The training run of a language model: its text, its model, its final scores; and its row in the table of tasks."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recurra.tasks.fields import field_names
from recurra.tasks.language_model.evaluation import Ids, nats_in_order
from recurra.tasks.language_model.model import LanguageModel
from recurra.tasks.language_model.options import NetworkOptions, TextOptions, WindowOptions
from recurra.tasks.language_model.scores import Nats, Predicted, report, scores_of
from recurra.tasks.language_model.text import Prepared, prepare, reopen
from recurra.tasks.language_model.training import Training
from recurra.tasks.task import Task

# Steps of the trial that tells how long the final evaluation takes.
_TRIAL = 2048


@dataclass(frozen=True)
class LanguageModelJob:
    """A `recurra.tasks.Job`: an encoded text and how to learn from it."""

    text: Prepared
    network: NetworkOptions
    window: WindowOptions

    def notes(self) -> list[str]:
        """Sizes of both texts, and what of the validation text is unknown."""
        return self.text.notes()

    def summary(self) -> str:
        """The training text in a line."""
        names = [Path(span.path).name for span in self.text.train.header.sources]
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5:,} files more" if len(names) > 5 else "")
        return f"{self.text.train.characters:,} characters of {shown}"

    def new_model(self) -> LanguageModel:
        """A model for the text's vocabulary."""
        return LanguageModel.new(self.text.tokenizer, self.network)

    def trainable(self, model: LanguageModel, *, seed: int, rank: int, world_size: int) -> Training:
        """Windows of the training text and their loss."""
        train, valid, tokenizer = self.text.train.tokens, self.text.valid.tokens, self.text.tokenizer
        return Training(
            model.network,
            tokenizer,
            train,
            valid,
            self.window,
            predicted=Predicted.of(self.text.valid, tokenizer),
            unknown=self.text.valid.unknown_places,
            spelling=(self.text.train.header.spelling or 0.0) / len(train),
            seed=seed,
            rank=rank,
            world_size=world_size,
        )

    def final_seconds(self, model: LanguageModel) -> float:
        """The time of a short evaluation, scaled to the length of the validation text."""
        tokens = self.text.valid.tokens
        self._nats(model, tokens[: _TRIAL + 1])  # compiles what it needs, once for all lengths
        started = time.perf_counter()
        self._nats(model, tokens[: _TRIAL + 1])
        return (time.perf_counter() - started) * max(1.0, len(tokens) / _TRIAL)

    def final_scores(self, model: LanguageModel) -> dict[str, float]:
        """Loss, perplexity and bits per character of the whole validation text, read as one; see `scores`."""
        valid, tokenizer = self.text.valid, self.text.tokenizer
        nats = self._nats(model, valid.tokens, valid.unknown_places)
        return scores_of(nats, Predicted.of(valid, tokenizer), tokenizer)

    def uniform_loss(self) -> float:
        """Log V: the loss of a guess among equally likely tokens."""
        return math.log(self.text.tokenizer.size)

    def _nats(self, model: LanguageModel, tokens: Any, unknown: Ids | None = None) -> Nats:
        model.network.eval()
        with torch.inference_mode():
            return nats_in_order(model.network, tokens, vocabulary=self.text.tokenizer.size, unknown=unknown)


def _prepare(
    files: Sequence[Path],
    options: Mapping[str, Any],
    folder: Path,
    like: LanguageModel | None,
    models: Mapping[str, Any],
) -> LanguageModelJob:
    window: WindowOptions = options["window"]
    least = window.batch_size * (window.update_every or 1) + 1
    tokenizer = None if like is None else like.tokenizer
    return LanguageModelJob(
        prepare(files, options["text"], folder, tokenizer=tokenizer, least=least), options["network"], window
    )


def _reopen(options: Mapping[str, Any], folder: Path) -> LanguageModelJob:
    return LanguageModelJob(reopen(folder), options["network"], options["window"])


def _usage(folder: str) -> str:
    return f'recurra generate {folder} --prompt "…"\nrecurra evaluate {folder} TEXT\nrecurra score {folder} LINES'


# What may still be chosen when training goes on from a trained model.
_FREE = {"dropout", "embedding_dropout", "locked_dropout", "recurrent_dropout", "weight_drop", "zoneout", "engine"}

TASK = Task(
    name="lm",
    title="language model",
    options={"text": TextOptions, "network": NetworkOptions, "window": WindowOptions},
    # Nats per character of tinyshakespeare after 2.7 million characters: β2 = 0.99 at 4e-3 had 1.457 with batches of 16
    # and 1.478 of 32, at 8e-3 1.507; the usual 0.999 had 1.574 at 3e-3 and 1.485 at 6e-3 (batches of 32).
    training={"epochs": 10.0, "least_steps": 1000, "learning_rate": 4e-3, "beta2": 0.99},
    shape=frozenset(field_names(NetworkOptions)) - _FREE | {"unit", "vocabulary_size", "min_count"},
    prepare=_prepare,
    reopen=_reopen,
    load=LanguageModel.from_files,
    usage=_usage,
    report=report,
    files=("unit.json", "tokenizer.json"),
    scratch=("train.bin", "valid.bin", "unit.json", "tokenizer.json"),
)
