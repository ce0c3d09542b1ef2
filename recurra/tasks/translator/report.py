"""The scores of `recurra evaluate`: computed on pairs, and their text for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

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
from recurra.tasks.translator.predict import score_targets, search
from recurra.tasks.translator.vocabulary import Side, Vocabulary
from recurra.training import figure

# Outputs that are shown; --json has no more either, because `recurra translate` writes all of them.
_EXAMPLES = 10
# References that are shown of one source.
_REFERENCES = 3


def evaluate(
    network: TranslatorNetwork,
    vocabulary: Vocabulary,
    pairs: Pairs,
    options: EvaluationOptions,
    *,
    max_length_ratio: float,
) -> dict[str, Any]:
    """Returns all scores of a translator on pairs.

    Args:
        network: is set to evaluation mode.
        vocabulary: of both sides.
        pairs: read once; their texts and the outputs are kept in memory.
        options: of the search and of BLEU.
        max_length_ratio: largest number of target symbols per source symbol.

    Returns:
        - the scores of `score_outputs`;
        - `loss` in nats per target symbol, end symbols included, and `perplexity`; both count `<unk>` as one symbol;
        - `unknown`, the number of unknown target symbols, and `unknown_share`, their share of the symbols and ends;
        - `perplexity_known`, the perplexity of the other symbols;
        - `bits_per_char` of the targets and their ends, the spelling of unknown symbols included;
        - `sentences`, and `seen`, the number of sources that are in the training data;
        - `cut`, the number of outputs that were cut at the length limit;
        - `examples`, the outputs with the most edits.

    Raises:
        InputError: there is no pair of two sides that are not empty, or `bleu_tokenize` is unknown.
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
    outputs, references = [n_best[0].text for n_best in translations], [pair.targets for pair in loaded]
    side = vocabulary.target
    return {
        **score_outputs(outputs, references, side=side, tokenize=options.bleu_tokenize),
        **losses,
        "sentences": len(loaded),
        "seen": sum(vocabulary.seen(pair.source) for pair in loaded if not is_empty(pair.source)),
        "cut": sum(not n_best[0].finished for n_best in translations),
        "examples": _examples(loaded, outputs, count_edits(outputs, references, side=side)),
    }


def score_outputs(
    outputs: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    side: Side,
    bleu: bool = True,
    tokenize: str = BLEU_TOKENIZERS[0],
) -> dict[str, Any]:
    """Returns the scores of outputs, each compared with the nearest of its references.

    Args:
        outputs: texts.
        references: one or more texts for each output.
        side: the symbols of the targets, for exact matches and token errors.
        bleu: whether to compute BLEU and chrF, which need sacrebleu.
        tokenize: the tokenizer of sacrebleu for BLEU, one of `BLEU_TOKENIZERS`.

    Returns:
        The scores of `recurra.metrics.error_rates`, and with `bleu` those of `recurra.metrics.bleu_and_chrf`.

    Raises:
        InputError: there are no outputs, or `tokenize` is unknown.
        RecurraError: sacrebleu is needed and not installed.
    """
    if not outputs:
        raise InputError("there are no outputs to score, expected one or more")
    rates = error_rates(_nearest(outputs, references, side))
    return {**(bleu_and_chrf(outputs, references, tokenize=tokenize) if bleu else {}), **rates}


def count_edits(outputs: Sequence[str], references: Sequence[Sequence[str]], *, side: Side) -> list[int]:
    """Returns the edits between each output and its nearest reference; 0 if they are equal."""
    return [nearest.edits for nearest in _nearest(outputs, references, side)]


def _nearest(outputs: Sequence[str], references: Sequence[Sequence[str]], side: Side) -> list[Nearest]:
    """Returns the nearest reference of each output, by the symbols of both."""
    spellings: dict[str, int] = {}
    return nearest_references(
        [side.encode_by_spelling(output, spellings) for output in outputs],
        [[side.encode_by_spelling(reference, spellings) for reference in several] for several in references],
    )


def _losses(network: TranslatorNetwork, vocabulary: Vocabulary, pairs: list[Pair]) -> dict[str, Any] | None:
    """Returns the scores of all targets by teacher forcing; None if no pair has two sides."""
    filled = [
        (pair.source, target)
        for pair in pairs
        for target in pair.targets
        if not is_empty(pair.source) and not is_empty(target)
    ]
    if not filled:
        return None
    side, scores = vocabulary.target, score_targets(network, vocabulary, filled)
    symbols = sum(len(side.encode(target)) + 1 for _, target in filled)
    unknown = sum(len(side.missing(target)) for _, target in filled)
    nats, unknown_nats = -sum(score.total for score in scores), -sum(score.unknown for score in scores)
    characters = sum(len(target) + 1 for _, target in filled)
    spelling = math.fsum(side.spelling_nats(target) for _, target in filled)
    return {
        "loss": nats / symbols,
        "perplexity": perplexity(nats / symbols),
        "unknown": unknown,
        "unknown_share": unknown / symbols,
        # There is at least one known symbol: the end symbols are known.
        "perplexity_known": perplexity_of_known(nats, unknown_nats, tokens=symbols, unknown=unknown),
        "bits_per_char": bits_per_character(nats, characters, spelling=spelling),
    }


def _examples(pairs: list[Pair], outputs: list[str], edits: list[int]) -> list[dict[str, Any]]:
    """Returns the outputs with the most edits to their nearest references; of equal ones the first."""
    order = sorted(range(len(pairs)), key=lambda number: (-edits[number], number))[:_EXAMPLES]
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


def report(scores: dict[str, Any]) -> str:
    """Returns the scores of `evaluate` as text, each with what it counts, and the examples."""
    return "\n".join([*_score_lines(scores), *_example_lines(scores["examples"])])


def _score_lines(scores: dict[str, Any]) -> Iterator[str]:
    sentences = scores["sentences"]
    yield f"{sentences:,} sentences, {figure(scores['loss'])} nats per symbol"
    for name, title in (("bleu", "BLEU"), ("chrf", "chrF")):
        yield f"  {title:<13} {scores[name]:7.2f}    {scores[f'{name}_signature']}"
    wrong = round(scores["word_error"] * sentences)
    yield f"  {'exact':<13} {_percent(scores['exact'])}  of {sentences:,} sentences: {wrong:,} wrong"
    yield f"  {'token errors':<13} {_percent(scores['token_error'])}  edits per symbol of the nearest references"
    if scores["unknown"]:
        yield (
            f"  {'unknown':<13} {_percent(scores['unknown_share'])}  of the target symbols: perplexity "
            f"{figure(scores['perplexity'], 2)} with <unk> as one symbol, {figure(scores['perplexity_known'], 2)} "
            f"without, {scores['bits_per_char']:.4f} bits per char with their spelling"
        )
    if scores["cut"]:
        yield f"  {scores['cut']:,} of {sentences:,} outputs were cut at the length limit, before their end"
    if scores["seen"]:
        yield f"  {scores['seen']:,} of {sentences:,} sources are in the training data"


def _example_lines(examples: list[dict[str, Any]]) -> Iterator[str]:
    if examples:
        yield ""
        yield "  the outputs with the most edits to their references"
    for example in examples:
        references = example["references"]
        yield f"  {example['place']}"
        yield f"    source     {example['source']}"
        yield f"    output     {example['output']}"
        for reference in references[:_REFERENCES]:
            yield f"    reference  {reference}"
        if len(references) > _REFERENCES:
            yield f"    … and {len(references) - _REFERENCES:,} more references"


def _percent(value: float) -> str:
    return f"{100 * value:7.2f} %"
