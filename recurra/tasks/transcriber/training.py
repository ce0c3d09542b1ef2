"""The objective of a transcriber: batches of recordings, CTC, and the errors on the validation data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.data.batching import TokenBatches, by_length
from recurra.decoding.ctc import ctc_greedy
from recurra.metrics.word_errors import error_counts
from recurra.tasks.implementation import Objective
from recurra.tasks.transcriber.augment import Example
from recurra.tasks.transcriber.corpus import Corpus, SpeechBatch, make_batch, needed_steps
from recurra.tasks.transcriber.data import SpeechData
from recurra.tasks.transcriber.model import Transcriber
from recurra.tasks.transcriber.options import AugmentOptions, BatchOptions
from recurra.training import Loss

Ids = npt.NDArray[np.int64]

# Seconds of a batch without gradients, padding included, and recordings on which the time of a validation is measured.
_BATCH_SECONDS, _TRIAL = 120.0, 50
# A log-probability of 0 that leaves gradients finite.
_IMPOSSIBLE = -1e4


class TranscriberObjective(Objective):
    """The batches of a transcriber, their loss, and its errors on the validation recordings.

    Args:
        model: the transcriber, its network on the device that it trains on.
        data: the recordings.
        options: the options of the run by group.
    """

    token_name = "symbol"

    def __init__(self, model: Transcriber, data: SpeechData, options: Mapping[str, Any]) -> None:
        self.network = model.network
        self._model, self._data = model, data
        self._batch_options: BatchOptions = options["batches"]
        self._seed: int = options["training"].seed
        self._augment: AugmentOptions = options["augment"]
        self._augmenter = data.settings.augmenter(options["augment"])

    def batches(self, *, seed: int, rank: int = 0, world_size: int = 1) -> TokenBatches[SpeechBatch]:
        """Returns batches of recordings of similar lengths, in random order."""
        seconds = self._data.settings.frame_seconds
        updates = TokenBatches(
            self._data.train.lengths,
            lambda numbers: self.make_batch(numbers, updates.epoch),
            tokens=max(1, round(self._batch_options.batch_seconds / seconds)),
            seed=seed,
            rank=rank,
            world_size=world_size,
        )
        return updates

    def make_batch(self, numbers: Ids, epoch: int) -> SpeechBatch:
        """Returns the batch of the training recordings with these numbers, changed at random.

        The changes follow from the seed, the epoch and the number of a recording, so that a run can be resumed.
        """
        corpus, rows = self._data.train, self._rows(numbers, epoch)
        examples = [self._example(row, epoch) for row in rows]
        ids = [corpus.alphabet.encode(" ".join(corpus.said[one].text for one in row)) for row in rows]
        return make_batch([example.features for example in examples], ids, [example.lead for example in examples])

    def _rows(self, numbers: Ids, epoch: int) -> list[list[int]]:
        """Returns the recordings of each row of a batch: one each, or several of a speaker that are joined.

        Recordings of one batch are joined with each other, up to one length, so that a batch has as many frames as
        without joining, and little padding.
        """
        corpus, options = self._data.train, self._augment
        generator = np.random.default_rng([self._seed, epoch, int(numbers[0])])
        if generator.random() >= options.join:
            return [[number] for number in numbers.tolist()]
        longest = generator.uniform(0, options.join_seconds) / self._data.settings.frame_seconds
        rows = list[list[int]]()
        open_rows: dict[str | None, tuple[list[int], float]] = {}
        for number in generator.permutation(numbers).tolist():
            speaker, length = corpus.said[number].speaker, float(corpus.lengths[number])
            row, used = open_rows.get(speaker, ([], 0.0))
            if not row or used + length > longest:
                row, used = [], 0.0
                rows.append(row)
            row.append(number)
            open_rows[speaker] = row, used + length
        return rows

    def _example(self, row: list[int], epoch: int) -> Example:
        """Returns the example of one or more recordings, normalised."""
        corpus, generator = self._data.train, np.random.default_rng([self._seed, epoch, row[0], 1])
        parts = [corpus.features(one) for one in row]
        example = self._augmenter.example(parts, generator)
        ids = corpus.alphabet.encode(" ".join(corpus.said[one].text for one in row))
        if self._steps(len(example.features) - example.lead + self._data.settings.padding) < needed_steps(ids):
            # Too fast for the symbols.
            example = Example(np.concatenate(parts))
        finished = self._data.finish(example.features, corpus.statistics(row[0]))
        return Example(self._augmenter.mask(finished, generator), example.lead)

    def _steps(self, frames: int) -> int:
        return int(self.network.output_lengths(torch.tensor(frames)))

    def loss(self, network: nn.Module, batch: SpeechBatch, state: Any) -> Loss:
        """Returns the loss of CTC of a batch (Graves et al. 2006), in nats per symbol."""
        placed = batch.to(self.network.device)
        scores, lengths = network(placed.features, placed.lengths)
        leads = self.network.output_lengths(placed.leads)
        return Loss(ctc_loss(scores, lengths, placed, leads=leads), batch.count)

    def score(self, *, final: bool) -> dict[str, float]:
        """Returns `loss`, `wer` and `cer` on the validation recordings, of greedy outputs."""
        return self._scores(self._batches(self._data.valid))

    def score_part(self) -> float:
        """Scores the first recordings."""
        valid = self._data.valid
        count = min(_TRIAL, len(valid))
        self._scores(iter([list(range(count))]))
        return float(valid.lengths[:count].sum() / max(1, valid.lengths.sum()))

    def _scores(self, batches: Iterator[list[int]]) -> dict[str, float]:
        valid, loss, symbols = self._data.valid, 0.0, 0
        said, heard = [], []
        self.network.eval()
        with torch.inference_mode():
            for numbers in batches:
                rows = [self._data.finish(valid.features(number), valid.statistics(number)) for number in numbers]
                batch = make_batch(rows, [valid.ids(number) for number in numbers]).to(self.network.device)
                scores, lengths = self.network(batch.features, batch.lengths)
                loss += float(ctc_loss(scores, lengths, batch))
                symbols += batch.count
                log_probs = scores.float().log_softmax(-1).cpu().numpy()
                for place, number in enumerate(numbers):
                    path = ctc_greedy(log_probs[: int(lengths[place]), place])
                    heard.append(valid.alphabet.decode(path.ids))
                    said.append(valid.alphabet.clean(valid.said[number].text))
        word, character = (error_counts(said, heard, unit=unit).rate for unit in ("word", "char"))
        results = {"loss": loss / max(1, symbols), "wer": word, "cer": character}
        return (
            results
            if self._batch_options.best_by == "loss"
            else {**results, "error": results[self._batch_options.best_by]}
        )

    def _batches(self, corpus: Corpus) -> Iterator[list[int]]:
        frames = round(_BATCH_SECONDS / self._data.settings.frame_seconds)
        yield from by_length(corpus.lengths, tokens=frames)


def ctc_loss(scores: Tensor, lengths: Tensor, batch: SpeechBatch, *, leads: Tensor | None = None) -> Tensor:
    """Returns the sum of the losses of a batch; rows that have fewer steps than their symbols need count 0.

    Args:
        scores: (T', B, V), before the softmax.
        lengths: (B,) int64, the steps of each row.
        batch: has the symbols.
        leads: (B,) int64, the first steps of each row, in which only the blank counts as probable: alignments with a
            symbol there are left out of the sum. None for none.
    """
    # In float32 also if the network computes in less.
    log_probs = scores.float().log_softmax(-1)
    if leads is not None and bool(leads.any()):
        masked = torch.arange(len(log_probs), device=leads.device)[:, None] < leads  # (T', B)
        log_probs = torch.cat([log_probs[..., :1], log_probs[..., 1:].masked_fill(masked[..., None], _IMPOSSIBLE)], -1)
    return F.ctc_loss(log_probs, batch.targets, lengths, batch.target_lengths, reduction="sum", zero_infinity=True)
