"""From sources as text to targets as text: batches by length, a search, and the order put back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.data import is_empty
from recurra.data.batching import by_length
from recurra.decoding import BeamOptions, SamplingOptions, beam_search, coverage_penalty, sample
from recurra.tasks.translator.corpus import Batch, Sources, make_batch, pad_sources
from recurra.tasks.translator.decoder import DecoderState
from recurra.tasks.translator.network import Step, TranslatorNetwork
from recurra.tasks.translator.vocabulary import END, Ids, Vocabulary

# Symbols of a batch, padding and hypotheses included, and how far a target may outgrow what training had.
_BATCH, _MORE = 8192, 10


class Translation(NamedTuple):
    """One target of a source."""

    text: str
    score: float
    """What it was ranked by: the log-probability after penalties."""
    log_probability: float
    """Nats; of its symbols and its end where it is finished, else of its symbols alone."""
    finished: bool = True
    """Whether it came to its end; False where it was cut, at the most symbols that its source allows."""


_EMPTY = Translation("", 0.0, 0.0)


def search(
    network: TranslatorNetwork,
    vocabulary: Vocabulary,
    sources: Sequence[str],
    options: BeamOptions,
    *,
    max_length_ratio: float,
) -> list[list[Translation]]:
    """The n-best targets of sources, best first, in their order.

    Args:
        network: put in evaluation mode.
        vocabulary: of both sides.
        sources: texts; an empty one has one target, the empty one.
        options: how targets are looked for.
        max_length_ratio: target symbols a source symbol, at most.
    """
    ids = _encoded(vocabulary, sources)
    translations = [[_EMPTY] for _ in sources]
    network.eval()
    with torch.inference_mode():
        for numbers in _groups([len(one) for one in ids], options.beam):
            chosen = [ids[number] for number in numbers]
            n_best = _search(network, vocabulary, chosen, options, max_length_ratio)
            for number, best in zip(numbers, n_best, strict=True):
                translations[number] = best
    return translations


def _search(
    network: TranslatorNetwork, vocabulary: Vocabulary, ids: list[Ids], options: BeamOptions, max_length_ratio: float
) -> list[list[Translation]]:
    """The targets of some sources that have symbols."""
    sources = pad_sources(ids).to(network.device)

    def penalty(state: DecoderState) -> Tensor:
        assert state.coverage is not None
        assert state.memory is not None
        inside = state.memory.inside  # (B, S)
        rows = inside.repeat_interleave(len(state.coverage) // len(inside), 0)  # (N, S)
        return coverage_penalty(state.coverage, options.coverage_penalty, rows)

    target = vocabulary.target
    covers = options.coverage_penalty and network.decoder.attention is not None
    hypotheses = beam_search(
        Step(network),
        network.encode(sources),
        start=torch.full((len(ids),), END, device=network.device),
        end=END,
        options=options,
        longest=_longest(sources, max_length_ratio),
        select=DecoderState.select,
        penalty=penalty if covers else None,
        forbidden=_forbidden(vocabulary),
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
    generators: Sequence[torch.Generator],
    *,
    max_length_ratio: float,
) -> list[Translation]:
    """A target of each source drawn from the network's distribution, in their order.

    Args:
        network: put in evaluation mode.
        vocabulary: of both sides.
        sources: texts; an empty one has the empty target.
        options: how symbols are drawn.
        generators: one a source.
        max_length_ratio: target symbols a source symbol, at most.

    Returns:
        Translations, whose scores are their log-probabilities under the network.
    """
    ids = _encoded(vocabulary, sources)
    translations = [_EMPTY for _ in sources]
    network.eval()
    with torch.inference_mode():
        for numbers in _groups([len(one) for one in ids], 1):
            chosen = [ids[number] for number in numbers], [generators[number] for number in numbers]
            drawn = _draw(network, vocabulary, *chosen, options, max_length_ratio)
            for number, one in zip(numbers, drawn, strict=True):
                translations[number] = one
    return translations


def _draw(
    network: TranslatorNetwork,
    vocabulary: Vocabulary,
    ids: list[Ids],
    generators: list[torch.Generator],
    options: SamplingOptions,
    max_length_ratio: float,
) -> list[Translation]:
    """Targets drawn for some sources that have symbols."""
    sources, step = pad_sources(ids).to(network.device), Step(network)
    longest = _longest(sources, max_length_ratio)
    log_probs, state = step(torch.full_like(longest, END), network.encode(sources))
    last = [log_probs]

    def kept(tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        last[0], state = step(tokens, state)
        return last[0], state

    totals, running, drawn = torch.zeros_like(log_probs[:, 0]), torch.ones_like(longest, dtype=torch.bool), []
    draws = sample(
        log_probs,
        state,
        step=kept,
        length=int(longest.max()),
        generators=generators,
        options=options,
        forbidden=_forbidden(vocabulary),
    )
    for tokens in draws:
        drawn.append(tokens)
        totals += torch.where(running, last[0].gather(1, tokens[:, None])[:, 0], 0.0)
        running &= (tokens != END) & (len(drawn) < longest)
        if not running.any():
            break
    rows = zip(torch.stack(drawn, 1).tolist(), longest.tolist(), totals.tolist(), strict=True)
    return [
        Translation(vocabulary.target.decode(row[:most]), total, total, END in row[:most]) for row, most, total in rows
    ]


class Forced(NamedTuple):
    """Log-probabilities of a target that is not searched for."""

    total: float
    """Nats of log p(target | source), its end counted; an unknown symbol counts as `<unk>`, without its spelling."""
    unknown: float
    """The part of it on symbols that are unknown."""


def forced(network: TranslatorNetwork, vocabulary: Vocabulary, pairs: Sequence[tuple[str, str]]) -> list[Forced]:
    """The log-probabilities of the target of each pair."""
    ids = [(vocabulary.source.encode(source), vocabulary.target.encode(target)) for source, target in pairs]
    results = [Forced(0.0, 0.0)] * len(pairs)
    network.eval()
    with torch.inference_mode():
        for numbers in _groups([max(1, len(source) + len(target)) for source, target in ids], 1):
            batch = make_batch([ids[number] for number in numbers]).to(network.device)
            steps = log_probabilities(network, batch)  # (T, B)
            for row, (number, total) in enumerate(zip(numbers, steps.sum(0).tolist(), strict=True)):
                places = [place for place, _ in vocabulary.target.unknown(pairs[number][1])]
                results[number] = Forced(total, float(steps[places, row].sum()))
    return results


def log_probabilities(network: TranslatorNetwork, batch: Batch) -> Tensor:
    """Nats of log p of each symbol of the targets of a batch and of their ends, (T, B); 0 past an end."""
    inside = batch.inside
    chosen = network(batch).float().log_softmax(-1).gather(1, batch.targets[inside][:, None])[:, 0]  # (N,)
    return torch.zeros(inside.shape, device=chosen.device).masked_scatter_(inside, chosen)


def _encoded(vocabulary: Vocabulary, sources: Sequence[str]) -> list[Ids]:
    """The ids of sources; none of an empty one."""
    return [vocabulary.source.encode("" if is_empty(source) else source) for source in sources]


def _longest(sources: Sources, max_length_ratio: float) -> Tensor:
    """The most symbols of each target, its end counted, (B,)."""
    return (sources.lengths * max_length_ratio).ceil().long() + _MORE


def _forbidden(vocabulary: Vocabulary) -> list[int]:
    """Ids that no target has: what is unknown, what would break a line in two."""
    unknown = vocabulary.target.unknown_id
    return [*vocabulary.target.never, *(() if unknown is None else (unknown,))]


def _groups(lengths: Sequence[int], rows: int) -> Iterator[list[int]]:
    """Numbers of sequences of similar lengths, for batches, END counted; those without symbols are left out."""
    return by_length([length + 1 if length else 0 for length in lengths], tokens=_BATCH, rows=rows)
