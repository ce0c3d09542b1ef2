"""What a translator learns: batches of pairs, their loss, and scores on the validation pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from recurra.data.batching import TokenBatches, by_length
from recurra.data.pairs import Pair
from recurra.decoding import BeamOptions
from recurra.metrics import bits_per_character, check_bleu, perplexity
from recurra.tasks.implementation import Objective
from recurra.tasks.translator.corpus import Batch, Facts, PairCorpus, make_batch
from recurra.tasks.translator.data import Prepared
from recurra.tasks.translator.model import Translator
from recurra.tasks.translator.network import TranslatorNetwork
from recurra.tasks.translator.options import BatchOptions
from recurra.tasks.translator.report import scores
from recurra.training import Loss

GREEDY = BeamOptions(beam=1)
# Symbols of a batch that nothing is learned from; sources, or batches where none are translated, in a trial of speed.
_EVALUATED, _TRIAL, _TRIAL_BATCHES = 8192, 50, 2


class TranslatorObjective(Objective):
    """Batches of pairs, their loss, and scores on the validation pairs.

    Args:
        model: its network on the device it trains on.
        train: what to learn from.
        valid: the held-out part, a pair each target.
        valid_pairs: the same as text, with all targets of a source together.
        options: batches, smoothing, what the best model is best by.

    Raises:
        RecurraError: the best model is the one of the best BLEU, and sacrebleu is not installed.
    """

    token_name = "symbol"

    def __init__(
        self,
        model: Translator,
        train: PairCorpus,
        valid: PairCorpus,
        valid_pairs: list[Pair],
        options: BatchOptions,
    ) -> None:
        self.network: TranslatorNetwork = model.network
        self._model, self._train, self._options = model, train, options
        self._valid, self._valid_pairs = valid, valid_pairs
        if (options.best_by or model.best_by) == "bleu":
            check_bleu()

    @classmethod
    def of(cls, model: Translator, data: Prepared, options: Mapping[str, Any]) -> TranslatorObjective:
        """The objective of a model on encoded pairs."""
        return cls(model, data.train, data.valid, data.valid_pairs, options["batches"])

    def batches(self, *, seed: int, rank: int = 0, world_size: int = 1) -> TokenBatches[Batch]:
        """Batches of pairs of similar lengths, in random order."""
        return TokenBatches(
            self._train.source_lengths + self._train.target_lengths + 2,
            self.make_batch,
            tokens=self._options.batch_tokens,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )

    def make_batch(self, numbers: npt.NDArray[np.int64]) -> Batch:
        """Returns the batch of the training pairs with these numbers."""
        return make_batch([self._train.pair(number) for number in numbers.tolist()])

    def loss(self, network: nn.Module, batch: Batch, state: Any) -> Loss:
        """The cross-entropy of the target symbols of a batch, by teacher forcing."""
        placed = batch.to(self.network.device)
        logits = network(placed, sampling=self._options.scheduled_sampling)  # (N, V)
        targets, smoothing = placed.targets[placed.inside], self._options.label_smoothing
        return Loss(F.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing), batch.count)

    def score(self, *, final: bool) -> dict[str, float]:
        """Loss, and the scores of greedy outputs unless the best model is that of the lowest loss."""
        return valid_scores(self._model, self._valid, self._valid_pairs, self._options.best_by)

    def score_part(self) -> float:
        """Translates the first sources, or computes the loss of the first batches where nothing is translated."""
        if self._options.best_by == "loss":
            batches = list(islice(_batches(self._valid), _TRIAL_BATCHES))
            _loss(self._model, batches)
            return sum(batch.count for batch in batches) / int((self._valid.target_lengths + 1).sum())
        sources = [pair.source for pair in self._valid_pairs[:_TRIAL]]
        list(self._model.outputs(sources, GREEDY))
        return len(sources) / len(self._valid_pairs)

    def describe(self, loss: float) -> dict[str, float]:
        """Perplexity by symbol."""
        return {"perplexity": perplexity(loss)}


def valid_scores(model: Translator, valid: PairCorpus, pairs: list[Pair], best_by: str | None) -> dict[str, float]:
    """Loss in nats a symbol, the scores of greedy outputs, and `error`, what the best model has least of.

    BLEU and chrF are among them where the best model is best by BLEU; `unknown_share` and `bits_per_char`, as of
    `evaluation.evaluate`, where symbols of targets are unknown.

    Args:
        model: the translator.
        valid: encoded pairs, for the loss.
        pairs: the same as text, for the scores.
        best_by: as in `BatchOptions`.
    """
    loss = loss_of(model, valid)
    results = {"loss": loss, **_with_unknown(loss, valid.facts)}
    chosen = best_by or model.best_by
    if chosen == "loss":
        return results
    outputs = [translations[0].text for translations in model.outputs((pair.source for pair in pairs), GREEDY)]
    references = [pair.targets for pair in pairs]
    of_outputs = scores(outputs, references, tokenizer=model.vocabulary.target, bleu=chosen == "bleu")
    results |= {name: value for name, value in of_outputs.items() if isinstance(value, float)}
    if chosen == "bleu":
        return results | {"error": 1 - results["bleu"] / 100}
    return results | {"error": results["word_error" if chosen == "exact" else "token_error"]}


def _with_unknown(loss: float, facts: Facts) -> dict[str, float]:
    """Where symbols of targets are unknown, their share and the bits per character in which they pay for it."""
    if not facts.unknown[1]:
        return {}
    symbols = facts.symbols[1] + facts.pairs
    bits_per_char = bits_per_character(loss * symbols, facts.target_characters, spelling=facts.target_spelling)
    return {"unknown_share": facts.unknown[1] / symbols, "bits_per_char": bits_per_char}


def loss_of(model: Translator, corpus: PairCorpus) -> float:
    """The mean loss in nats a target symbol, END counted."""
    return _loss(model, _batches(corpus))


def _loss(model: Translator, batches: Iterable[Batch]) -> float:
    total, count = 0.0, 0
    model.network.eval()
    with torch.inference_mode():
        for batch in batches:
            placed = batch.to(model.network.device)
            logits = model.network(placed)  # (N, V)
            total += float(F.cross_entropy(logits, placed.targets[placed.inside], reduction="sum"))
            count += batch.count
    return total / max(1, count)


def _batches(corpus: PairCorpus) -> Iterator[Batch]:
    """The corpus, pairs of like length together."""
    for numbers in by_length(corpus.source_lengths + corpus.target_lengths + 2, tokens=_EVALUATED):
        yield make_batch([corpus.pair(number) for number in numbers])
