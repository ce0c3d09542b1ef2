"""From sources as text to targets as text: batches by length, a search, and the order put back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from recurra.data import is_empty
from recurra.decoding import BeamOptions, beam_search, coverage_penalty
from recurra.tasks.translator.batch import Batch, Ids, make_batch, pad_sources
from recurra.tasks.translator.decoder import DecoderState
from recurra.tasks.translator.network import Step, TranslatorNetwork
from recurra.tasks.translator.vocabulary import END, Vocabulary

# Symbols of a batch, padding and hypotheses included, and how far a target may outgrow what training had.
_BATCH, _MORE = 4096, 10


class Translation(NamedTuple):
    """One target of a source."""

    text: str
    score: float
    """What it was ranked by: the log-probability after penalties."""
    log_probability: float
    """Nats, its end counted."""


def search(
    network: TranslatorNetwork, vocabulary: Vocabulary, sources: Sequence[str], options: BeamOptions, *, growth: float
) -> list[list[Translation]]:
    """The n-best targets of sources, best first, in their order.

    Args:
        network: put in evaluation mode.
        vocabulary: of both sides.
        sources: texts; one with nothing to read has one target, the empty one.
        options: how targets are looked for.
        growth: target symbols a source symbol, at most.
    """
    ids = [vocabulary.source.encode("" if is_empty(source) else source) for source in sources]
    found = [[Translation("", 0.0, 0.0)] for _ in sources]
    network.eval()
    with torch.inference_mode():
        for numbers in _groups([len(one) for one in ids], options.beam):
            for number, best in zip(
                numbers, _search(network, vocabulary, [ids[number] for number in numbers], options, growth), strict=True
            ):
                found[number] = best
    return found


def _search(
    network: TranslatorNetwork, vocabulary: Vocabulary, ids: list[Ids], options: BeamOptions, growth: float
) -> list[list[Translation]]:
    """The targets of some sources that have symbols."""
    sources = pad_sources(ids).to(network.device)

    def penalty(state: DecoderState) -> torch.Tensor:
        assert state.coverage is not None
        assert state.memory is not None
        inside = state.memory.inside[:, None]  # (B, 1, S)
        coverage = state.coverage.view(len(inside), -1, inside.shape[-1])  # (B, K, S)
        return coverage_penalty(coverage, options.coverage_penalty, inside).flatten()

    target = vocabulary.target
    covers = options.coverage_penalty and network.decoder.attention is not None
    hypotheses = beam_search(
        Step(network),
        network.encode(sources),
        start=torch.full((len(ids),), END, device=network.device),
        end=END,
        options=options,
        longest=(sources.lengths * growth).ceil().long() + _MORE,
        select=DecoderState.select,
        penalty=penalty if covers else None,
        forbidden=[*target.never, *([] if target.unknown_id is None else [target.unknown_id])],
    )
    return [
        [Translation(target.decode(one.tokens), one.score, one.log_probability) for one in best] for best in hypotheses
    ]


def forced(network: TranslatorNetwork, vocabulary: Vocabulary, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """The log-probability of each pair's target given its source in nats, its end counted."""
    ids = [(vocabulary.source.encode(source), vocabulary.target.encode(target)) for source, target in pairs]
    found = [0.0] * len(pairs)
    network.eval()
    with torch.inference_mode():
        for numbers in _groups([max(1, len(source) + len(target)) for source, target in ids], 1):
            batch = make_batch([ids[number] for number in numbers]).to(network.device)
            for number, total in zip(numbers, log_probabilities(network, batch).tolist(), strict=True):
                found[number] = total
    return found


def log_probabilities(network: TranslatorNetwork, batch: Batch) -> torch.Tensor:
    """The log-probability of each target of a batch (B,), its end counted."""
    inside = batch.inside
    told = network(batch).float().log_softmax(-1).gather(1, batch.targets[inside][:, None])[:, 0]  # (N,)
    return torch.zeros(inside.shape, device=told.device).masked_scatter_(inside, told).sum(0)


def _groups(lengths: Sequence[int], rows: int) -> Iterator[list[int]]:
    """Numbers of sequences of like lengths, for batches; those without symbols are left out."""
    order = [number for number in np.argsort([-one for one in lengths], kind="stable").tolist() if lengths[number]]
    start = 0
    while start < len(order):
        size = max(1, _BATCH // (rows * (lengths[order[start]] + 1)))
        yield order[start : start + size]
        start += size
