"""The objective of a translator: batches of pairs, their loss, and the scores on the validation pairs."""

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
from recurra.tasks.translator.corpus import Facts, PairBatch, PairCorpus, make_batch
from recurra.tasks.translator.data import PairData
from recurra.tasks.translator.model import Translator
from recurra.tasks.translator.network import TranslatorNetwork
from recurra.tasks.translator.options import BatchOptions
from recurra.tasks.translator.report import score_outputs
from recurra.training import Loss

# Greedy, because validations are many: a beam of 5 takes about four times as long.
GREEDY = BeamOptions(beam=1)
# Symbols of a batch without gradients, padding included.
_BATCH_SYMBOLS = 8192
# The part of the validation data on which its time is measured: sources to translate, or batches of which only the
# loss is computed.
_TRIAL_SOURCES, _TRIAL_BATCHES = 50, 2


class TranslatorObjective(Objective):
    """The batches of a translator, their loss, and its scores on the validation pairs.

    Args:
        model: the translator, its network on the device that it trains on.
        train: the training part.
        valid: the held-out part, a pair for each target, for the loss.
        valid_pairs: the held-out part as text, all targets of a source in one pair, for the scores of outputs.
        options: batches, smoothing, and the selection of the best model.

    Raises:
        RecurraError: the best model is selected by BLEU, and sacrebleu is not installed.
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
    def of(cls, model: Translator, data: PairData, options: Mapping[str, Any]) -> TranslatorObjective:
        """Returns the objective of a model on encoded pairs."""
        return cls(model, data.train, data.valid, data.valid_pairs, options["batches"])

    def batches(self, *, seed: int, rank: int = 0, world_size: int = 1) -> TokenBatches[PairBatch]:
        """Returns batches of pairs of similar lengths, in random order."""
        return TokenBatches(
            self._train.source_lengths + self._train.target_lengths + 2,
            self.make_batch,
            tokens=self._options.batch_tokens,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )

    def make_batch(self, numbers: npt.NDArray[np.int64]) -> PairBatch:
        """Returns the batch of the training pairs with these numbers."""
        return make_batch([self._train.pair(number) for number in numbers.tolist()])

    def loss(self, network: nn.Module, batch: PairBatch, state: Any) -> Loss:
        """Returns the cross-entropy of the target symbols of a batch, by teacher forcing."""
        batch = batch.to(self.network.device)
        scores = network(batch, sampling=self._options.scheduled_sampling)  # (N, V)
        targets, smoothing = batch.targets[batch.inside], self._options.label_smoothing  # (N,)
        return Loss(F.cross_entropy(scores, targets, reduction="sum", label_smoothing=smoothing), batch.count)

    def score(self, *, final: bool) -> dict[str, float]:
        """Returns the scores on the validation data, see `valid_scores`; final scores are greedy as well."""
        return valid_scores(self._model, self._valid, self._valid_pairs, self._options.best_by)

    def score_part(self) -> float:
        """Translates the first sources, or computes the loss of the first batches if nothing is translated."""
        if self._options.best_by == "loss":
            batches = list(islice(_batches(self._valid), _TRIAL_BATCHES))
            _mean_loss(self._model, batches)
            return sum(batch.count for batch in batches) / int((self._valid.target_lengths + 1).sum())
        sources = [pair.source for pair in self._valid_pairs[:_TRIAL_SOURCES]]
        list(self._model.outputs(sources, GREEDY))
        return len(sources) / len(self._valid_pairs)

    def describe(self, loss: float) -> dict[str, float]:
        """Returns the perplexity per symbol."""
        return {"perplexity": perplexity(loss)}


def valid_scores(model: Translator, valid: PairCorpus, pairs: list[Pair], best_by: str | None) -> dict[str, float]:
    """Returns the scores of a translator on the validation data.

    Args:
        model: the translator.
        valid: encoded pairs, for the loss.
        pairs: the same pairs as text, for the scores of outputs.
        best_by: as in `BatchOptions`.

    Returns:
        `loss` in nats per symbol; if there are unknown target symbols, `unknown_share` and `bits_per_char` as in
        `recurra.tasks.translator.report.evaluate`; unless the best model is selected by the loss, the scores of greedy
        outputs, and `error`, which the best model has least of. BLEU and chrF are computed only if BLEU selects it.
    """
    loss = loss_of(model, valid)
    results = {"loss": loss, **_unknown_scores(loss, valid.facts)}
    selection = best_by or model.best_by
    if selection == "loss":
        return results
    outputs = [translations[0].text for translations in model.outputs((pair.source for pair in pairs), GREEDY)]
    references = [pair.targets for pair in pairs]
    scores = score_outputs(outputs, references, side=model.vocabulary.target, bleu=selection == "bleu")
    # Without the signatures of sacrebleu.
    results |= {name: value for name, value in scores.items() if isinstance(value, float)}
    if selection == "bleu":
        return results | {"error": 1 - results["bleu"] / 100}
    return results | {"error": results["word_error" if selection == "exact" else "token_error"]}


def _unknown_scores(loss: float, facts: Facts) -> dict[str, float]:
    """Returns the share of unknown target symbols, and the bits per character with their spelling; {} without any."""
    if not facts.unknown[1]:
        return {}
    symbols = facts.symbols[1] + facts.pairs  # with the end symbols
    bits_per_char = bits_per_character(loss * symbols, facts.target_characters, spelling=facts.target_spelling)
    return {"unknown_share": facts.unknown[1] / symbols, "bits_per_char": bits_per_char}


def loss_of(model: Translator, corpus: PairCorpus) -> float:
    """Returns the mean loss in nats per target symbol, end symbols included, without label smoothing."""
    return _mean_loss(model, _batches(corpus))


def _mean_loss(model: Translator, batches: Iterable[PairBatch]) -> float:
    total, count = 0.0, 0
    model.network.eval()
    with torch.inference_mode():
        for batch in batches:
            placed = batch.to(model.network.device)
            scores = model.network(placed)  # (N, V)
            total += float(F.cross_entropy(scores, placed.targets[placed.inside], reduction="sum"))
            count += batch.count
    return total / max(1, count)


def _batches(corpus: PairCorpus) -> Iterator[PairBatch]:
    """Yields all pairs in batches of similar lengths."""
    for numbers in by_length(corpus.source_lengths + corpus.target_lengths + 2, tokens=_BATCH_SYMBOLS):
        yield make_batch([corpus.pair(number) for number in numbers])
