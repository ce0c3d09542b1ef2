"""An evaluation as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recurra.training import figure

# Outputs that are shown; --json has no more either: `recurra translate` writes them all.
SHOWN = 10
# Accepted answers that are shown of one source.
_REFERENCES = 3


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
    yield from _examples(scores["examples"])


def _examples(examples: list[dict[str, Any]]) -> Iterator[str]:
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
