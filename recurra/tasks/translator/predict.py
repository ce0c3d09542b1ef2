"""Inference: sources as text to targets as text, and log-probabilities of given targets.

Texts are encoded, batched by length, decoded, and their results returned in the order of the texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.data import is_empty
from recurra.data.batching import by_length
from recurra.decoding import BeamOptions, SamplingOptions, beam_search, coverage_penalty, sample
from recurra.tasks.translator.corpus import PairBatch, SourceBatch, make_batch, pad_sources
from recurra.tasks.translator.decoder import DecoderState, DecoderStep
from recurra.tasks.translator.network import TranslatorNetwork
from recurra.tasks.translator.vocabulary import BOS, EOS, Ids, Side, Vocabulary

# Symbols of a batch, padding and hypotheses included.
_BATCH_SYMBOLS = 8192
# How many symbols more a target may have than its source and the ratio of the training data allow: targets of short
# sources vary the most.
_EXTRA_SYMBOLS = 10


class Translation(NamedTuple):
    """One target of a source."""

    text: str
    score: float
    """By which it was ranked: the log-probability after the penalties."""
    log_probability: float
    """In nats, of its symbols and, if it is finished, of its end symbol."""
    finished: bool = True
    """Whether it ended with the end symbol; False if it was cut at the length limit of its source."""


_EMPTY = Translation("", 0.0, 0.0)


def search(
    network: TranslatorNetwork,
    vocabulary: Vocabulary,
    sources: Sequence[str],
    options: BeamOptions,
    *,
    max_length_ratio: float,
) -> list[list[Translation]]:
    """Searches for the n best targets of each source by beam search.

    Args:
        network: is set to evaluation mode.
        vocabulary: of both sides.
        sources: texts; an empty one has one target, the empty one.
        options: of the search.
        max_length_ratio: largest number of target symbols per source symbol.

    Returns:
        For each source its targets, best first.
    """
    ids = _encode_sources(vocabulary, sources)
    translations = [[_EMPTY] for _ in sources]
    network.eval()
    with torch.inference_mode():
        for numbers in _batch_numbers([len(row) for row in ids], rows=options.beam):
            batch = pad_sources([ids[number] for number in numbers]).to(network.device)
            longest = _max_lengths(batch, max_length_ratio)
            n_best = _search_batch(network, batch, target=vocabulary.target, options=options, longest=longest)
            for number, best in zip(numbers, n_best, strict=True):
                translations[number] = best
    return translations


def _search_batch(
    network: TranslatorNetwork, sources: SourceBatch, *, target: Side, options: BeamOptions, longest: Tensor
) -> list[list[Translation]]:
    """Returns the n best targets of B sources; `longest` (B,) is the largest number of symbols of each."""

    def penalty(state: DecoderState) -> Tensor:  # (N,)
        assert state.coverage is not None
        assert state.memory is not None
        inside = state.memory.inside  # (B, S)
        K = len(state.coverage) // len(inside)
        return coverage_penalty(state.coverage, options.coverage_penalty, inside.repeat_interleave(K, 0))

    has_penalty = options.coverage_penalty and network.decoder.attention is not None
    hypotheses = beam_search(
        DecoderStep(network.decoder),
        network.encode(sources),
        start=torch.full_like(longest, BOS),
        end=EOS,
        options=options,
        longest=longest,
        penalty=penalty if has_penalty else None,
        forbidden=_forbidden_ids(target),
    )
    return [
        [Translation(target.decode(one.tokens), one.score, one.log_probability, one.finished) for one in best]
        for best in hypotheses
    ]


def draw(
    network: TranslatorNetwork,
    vocabulary: Vocabulary,
    sources: Sequence[str],
    options: SamplingOptions,
    *,
    generators: Sequence[torch.Generator],
    max_length_ratio: float,
) -> list[Translation]:
    """Samples a target of each source from the network's distribution.

    Args:
        network: is set to evaluation mode.
        vocabulary: of both sides.
        sources: texts; an empty one has the empty target.
        options: of the sampling.
        generators: one per source.
        max_length_ratio: largest number of target symbols per source symbol.

    Returns:
        For each source its target, whose score is its log-probability under the network.
    """
    ids = _encode_sources(vocabulary, sources)
    translations = [_EMPTY for _ in sources]
    network.eval()
    with torch.inference_mode():
        for numbers in _batch_numbers([len(row) for row in ids]):
            batch = pad_sources([ids[number] for number in numbers]).to(network.device)
            samples = _draw_batch(
                network,
                batch,
                target=vocabulary.target,
                options=options,
                generators=[generators[number] for number in numbers],
                longest=_max_lengths(batch, max_length_ratio),
            )
            for number, translation in zip(numbers, samples, strict=True):
                translations[number] = translation
    return translations


def _draw_batch(
    network: TranslatorNetwork,
    sources: SourceBatch,
    *,
    target: Side,
    options: SamplingOptions,
    generators: list[torch.Generator],
    longest: Tensor,
) -> list[Translation]:
    """Returns a sampled target of each of B sources; `longest` (B,) is the largest number of symbols of each."""
    step = _RecordingStep(DecoderStep(network.decoder))
    log_probs, state = step(torch.full_like(longest, BOS), network.encode(sources))  # (B, V)
    draws = sample(
        log_probs,
        state,
        step=step,
        length=int(longest.max()),
        generators=generators,
        options=options,
        forbidden=_forbidden_ids(target),
    )
    totals, running = torch.zeros_like(log_probs[:, 0]), torch.ones_like(longest, dtype=torch.bool)  # (B,)
    columns = list[Tensor]()
    for tokens in draws:
        columns.append(tokens)  # (B,)
        totals += torch.where(running, step.log_probs.gather(1, tokens[:, None])[:, 0], 0.0)
        running &= (tokens != EOS) & (len(columns) < longest)
        if not running.any():
            break
    rows = zip(torch.stack(columns, 1).tolist(), longest.tolist(), totals.tolist(), strict=True)
    # A target that reached its limit was drawn on while others were running: what is past the limit is not its.
    return [Translation(target.decode(row[:most]), total, total, EOS in row[:most]) for row, most, total in rows]


class _RecordingStep:
    """A step that holds its last log-probabilities, since `sample` returns tokens without theirs."""

    log_probs: Tensor

    def __init__(self, step: DecoderStep) -> None:
        self._step = step

    def __call__(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        self.log_probs, state = self._step(tokens, state)
        return self.log_probs, state

    def select(self, state: DecoderState, rows: Tensor) -> DecoderState:
        return self._step.select(state, rows)


class TargetScore(NamedTuple):
    """Log-probabilities of a given target."""

    total: float
    """log p(target | source) in nats, the end symbol included; unknown symbols count as `<unk>`, without spelling."""
    unknown: float
    """The part of it on unknown symbols."""


def score_targets(
    network: TranslatorNetwork, vocabulary: Vocabulary, pairs: Sequence[tuple[str, str]]
) -> list[TargetScore]:
    """Returns the log-probabilities of the target of each pair, by teacher forcing."""
    ids = [(vocabulary.source.encode(source), vocabulary.target.encode(target)) for source, target in pairs]
    scores = [TargetScore(0.0, 0.0)] * len(pairs)
    network.eval()
    with torch.inference_mode():
        # A pair without symbols has a score as well, that of the end symbol.
        for numbers in _batch_numbers([max(1, len(source) + len(target)) for source, target in ids]):
            batch = make_batch([ids[number] for number in numbers]).to(network.device)
            steps = log_probabilities(network, batch)  # (T, B)
            for row, (number, total) in enumerate(zip(numbers, steps.sum(0).tolist(), strict=True)):
                places = vocabulary.target.missing_places(pairs[number][1])
                scores[number] = TargetScore(total, float(steps[places, row].sum()))
    return scores


def log_probabilities(network: TranslatorNetwork, batch: PairBatch) -> Tensor:
    """Returns the log-probability of each target symbol of a batch in nats, (T, B), 0 past the end of a target."""
    inside = batch.inside
    of_targets = network(batch).float().log_softmax(-1).gather(1, batch.targets[inside][:, None])[:, 0]  # (N,)
    return torch.zeros(inside.shape, device=of_targets.device).masked_scatter_(inside, of_targets)


def _encode_sources(vocabulary: Vocabulary, sources: Sequence[str]) -> list[Ids]:
    """Returns the ids of sources; none for a source of whitespace, which has the empty target."""
    return [vocabulary.source.encode("" if is_empty(source) else source) for source in sources]


def _max_lengths(sources: SourceBatch, max_length_ratio: float) -> Tensor:
    """Returns the largest number of symbols of each target, the end symbol included, int64 (B,)."""
    return (sources.lengths * max_length_ratio).ceil().long() + _EXTRA_SYMBOLS


def _forbidden_ids(target: Side) -> list[int]:
    """Returns the ids that no target may have: the unknown symbol, and those that would break a line in two."""
    return [*target.line_break_ids, *(() if target.unknown_id is None else (target.unknown_id,))]


def _batch_numbers(lengths: Sequence[int], *, rows: int = 1) -> Iterator[list[int]]:
    """Yields batches of numbers of sequences of similar lengths; sequences of length 0 are in none.

    Args:
        lengths: symbols of each sequence, without the end symbol.
        rows: how many rows of the batch a sequence takes, such as the hypotheses of a beam.
    """
    return by_length([length + 1 if length else 0 for length in lengths], tokens=_BATCH_SYMBOLS, rows=rows)
