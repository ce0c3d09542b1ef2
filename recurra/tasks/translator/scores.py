"""Scores of translations: BLEU, chrF, exact match and token error rate, by the symbols of the target side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from recurra.errors import InputError
from recurra.metrics import BLEU_TOKENIZERS, Nearest, bleu_and_chrf, error_rates, nearest_references

if TYPE_CHECKING:
    from recurra.tasks.translator.vocabulary import Side

Ids = npt.NDArray[np.int64]


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
