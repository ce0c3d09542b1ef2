"""The scores of `recurra evaluate`, and their text for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from recurra.data import Pair, Pairs, is_empty
from recurra.errors import InputError
from recurra.metrics import (
    BLEU_TOKENIZERS,
    Nearest,
    bits_per_character,
    bleu_and_chrf,
    check_bleu,
    error_rates,
    nearest_references,
    perplexity,
    perplexity_of_known,
)
from recurra.tasks.translator.network import TranslatorNetwork
from recurra.tasks.translator.options import EvaluationOptions
from recurra.tasks.translator.predict import forced, search
from recurra.tasks.translator.vocabulary import Ids, Side, Vocabulary
from recurra.training import figure

# Outputs that are shown; --json has no more either: `recurra translate` writes them all.
_SHOWN = 10
# Accepted answers that are shown of one source.
_REFERENCES = 3


def evaluate(
    network: TranslatorNetwork,
    vocabulary: Vocabulary,
    pairs: Pairs,
    options: EvaluationOptions,
    *,
    max_length_ratio: float,
) -> dict[str, Any]:
    """Every score of a translator on pairs.

    Args:
        network: put in evaluation mode.
        vocabulary: of both sides.
        pairs: read once; their texts and the outputs are kept in memory.
        options: how outputs are searched for and scored.
        max_length_ratio: target symbols a source symbol, at most.

    Returns:
        What `recurra.tasks.translator.report.scores` returns; `loss` in nats a target symbol, the end counted, and
        `perplexity`, which count `<unk>` as one symbol; `unknown` target symbols and `unknown_share`, their share of
        the symbols and ends; `perplexity_known`, of the others; `bits_per_char` of the targets and their ends, in which
        unknown symbols pay for their spelling; `sentences`, `seen` (how many sources were trained on), `cut` (how many
        outputs were cut at the length limit) and `examples`, the outputs with the most edits.

    Raises:
        InputError: no pair with two sides, or a `bleu_tokenize` that is not known.
        RecurraError: sacrebleu is not installed.
    """
    check_bleu(options.bleu_tokenize)
    loaded = list(pairs)
    losses = _losses(network, vocabulary, loaded)
    if losses is None:
        raise InputError(f"{pairs.files.paths[0]}: no pair to evaluate on, expected a source and a target")
    translations = search(
        network, vocabulary, [pair.source for pair in loaded], options.search(), max_length_ratio=max_length_ratio
    )
    outputs, references = [best[0].text for best in translations], [pair.targets for pair in loaded]
    side = vocabulary.target
    seen = sum(vocabulary.seen(pair.source) for pair in loaded if not is_empty(pair.source))
    return {
        **scores(outputs, references, tokenizer=side, tokenize=options.bleu_tokenize),
        **losses,
        "sentences": len(loaded),
        "seen": seen,
        "cut": sum(not best[0].finished for best in translations),
        "examples": _examples(loaded, outputs, edits_of(outputs, references, side)),
    }


def _losses(network: TranslatorNetwork, vocabulary: Vocabulary, pairs: list[Pair]) -> dict[str, Any] | None:
    """The scores of all targets of pairs with two sides, as while training; None where there is none."""
    known = [
        (pair.source, target)
        for pair in pairs
        for target in pair.targets
        if not is_empty(pair.source) and not is_empty(target)
    ]
    if not known:
        return None
    side, forced_targets = vocabulary.target, forced(network, vocabulary, known)
    symbols = sum(len(side.encode(target)) + 1 for _, target in known)
    unknown = sum(len(side.missing(target)) for _, target in known)
    total, on_unknown = -sum(one.total for one in forced_targets), -sum(one.unknown for one in forced_targets)
    characters = sum(len(target) + 1 for _, target in known)
    spelling = math.fsum(side.spelling_nats(target) for _, target in known)
    return {
        "loss": total / symbols,
        "perplexity": perplexity(total / symbols),
        "unknown": unknown,
        "unknown_share": unknown / symbols,
        # The ends are known symbols, so there is one.
        "perplexity_known": perplexity_of_known(total, on_unknown, tokens=symbols, unknown=unknown),
        "bits_per_char": bits_per_character(total, characters, spelling=spelling),
    }


def _examples(pairs: list[Pair], outputs: list[str], edits: list[int]) -> list[dict[str, Any]]:
    """The outputs that are furthest from their nearest references, in edits."""
    order = sorted(range(len(pairs)), key=lambda number: (-edits[number], number))[:_SHOWN]
    return [
        {
            "place": pairs[number].place,
            "source": pairs[number].source,
            "output": outputs[number],
            "references": pairs[number].targets,
            "edits": edits[number],
        }
        for number in order
        if edits[number]
    ]


def scores(
    outputs: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    tokenizer: Side,
    bleu: bool = True,
    tokenize: str = BLEU_TOKENIZERS[0],
) -> dict[str, Any]:
    """Every score of outputs; of several references the nearest counts.

    Args:
        outputs: texts.
        references: one or more texts for each output.
        tokenizer: what targets are cut into, for exact match and token errors.
        bleu: whether to compute BLEU and chrF, which need sacrebleu.
        tokenize: how sacrebleu cuts text for BLEU, one of `BLEU_TOKENIZERS`.

    Returns:
        The scores of `recurra.metrics.error_rates`, and with `bleu` those of `recurra.metrics.bleu_and_chrf`.

    Raises:
        InputError: nothing to score, or an unknown `tokenize`.
        RecurraError: sacrebleu is needed and not installed.
    """
    if not outputs:
        raise InputError("there are no outputs to score, expected one or more")
    rates = error_rates(_nearest(outputs, references, tokenizer))
    return {**(bleu_and_chrf(outputs, references, tokenize=tokenize) if bleu else {}), **rates}


def edits_of(outputs: Sequence[str], references: Sequence[Sequence[str]], tokenizer: Side) -> list[int]:
    """Edits of each output to its nearest reference; 0 where it is right."""
    return [one.edits for one in _nearest(outputs, references, tokenizer)]


def _nearest(outputs: Sequence[str], references: Sequence[Sequence[str]], tokenizer: Side) -> list[Nearest]:
    """The nearest reference of each output, by the symbols of both."""
    spellings: dict[str, int] = {}
    return nearest_references(
        [_symbols(output, tokenizer, spellings) for output in outputs],
        [[_symbols(reference, tokenizer, spellings) for reference in several] for several in references],
    )


def _symbols(text: str, tokenizer: Side, spellings: dict[str, int]) -> Ids:
    """The ids of a text; unknown symbols get an id below 0 by their spelling, so that only equal ones are equal."""
    ids = tokenizer.encode(text)
    unknown = [] if tokenizer.unknown_id is None else np.flatnonzero(ids == tokenizer.unknown_id).tolist()
    if unknown:
        pieces = text.split() if tokenizer.tokenizer.name == "word" else text
        ids = ids.copy()
        ids[unknown] = [~spellings.setdefault(pieces[place], len(spellings)) for place in unknown]
    return ids


def report(scores: dict[str, Any]) -> str:
    """The scores of `Translator.evaluate` as text: each with what it counts, what was seen, some outputs."""
    return "\n".join(_lines(scores))


def _lines(scores: dict[str, Any]) -> Iterator[str]:
    sentences = scores["sentences"]
    yield f"{sentences:,} sentences, {figure(scores['loss'])} nats a symbol"
    for name, title in (("bleu", "BLEU"), ("chrf", "chrF")):
        yield f"  {title:<13} {scores[name]:7.2f}    {scores[f'{name}_signature']}"
    wrong = round(scores["word_error"] * sentences)
    yield f"  {'exact':<13} {_percent(scores['exact'])}  of {sentences:,} sentences: {wrong:,} wrong"
    yield f"  {'token errors':<13} {_percent(scores['token_error'])}  edits to the nearest reference, of its symbols"
    if scores["unknown"]:
        yield (
            f"  {'unknown':<13} {_percent(scores['unknown_share'])}  of the target symbols: perplexity "
            f"{figure(scores['perplexity'], 2)} with <unk> as one symbol, {figure(scores['perplexity_known'], 2)} "
            f"without, {scores['bits_per_char']:.4f} bits per char with their spelling"
        )
    if scores["cut"]:
        yield f"  {scores['cut']:,} of {sentences:,} outputs were cut at the length limit, before their end"
    if scores["seen"]:
        yield f"  {scores['seen']:,} of {sentences:,} sources are in the training data: not all of this is new"
    yield from _example_lines(scores["examples"])


def _example_lines(examples: list[dict[str, Any]]) -> Iterator[str]:
    if examples:
        yield ""
        yield "  the furthest from their references"
    for one in examples:
        yield f"  {one['place']}"
        yield f"    source     {one['source']}"
        yield f"    output     {one['output']}"
        for reference in one["references"][:_REFERENCES]:
            yield f"    reference  {reference}"
        if len(one["references"]) > _REFERENCES:
            yield f"    … and {len(one['references']) - _REFERENCES:,} more references"


def _percent(value: float) -> str:
    return f"{100 * value:7.2f} %"
