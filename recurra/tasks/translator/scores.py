"""How good outputs are: BLEU and chrF as sacrebleu has them, exact match, and the token error rate."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from recurra.errors import InputError, RecurraError, nearest
from recurra.tasks.translator.distances import edit_distances

if TYPE_CHECKING:
    from recurra.tasks.translator.vocabulary import Side

Ids = npt.NDArray[np.int64]

TOKENIZERS = ("13a", "intl", "zh", "char", "none", "ja-mecab", "ko-mecab")
"""How BLEU may cut text into words; the first where nobody chooses. sacrebleu's others fetch models from the net."""


def scores(
    outputs: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    tokenizer: Side,
    bleu: bool = True,
    tokenize: str = TOKENIZERS[0],
) -> dict[str, Any]:
    """Every score of outputs; with several references the one that is best for an output counts.

    Args:
        outputs: texts.
        references: one or more texts for each output.
        tokenizer: what targets are cut into, for exact match and token errors.
        bleu: whether BLEU and chrF are asked for, which need sacrebleu.
        tokenize: how sacrebleu cuts text for BLEU, one of `TOKENIZERS`.

    Returns:
        As fractions `exact`, the share of outputs that equal a reference symbol by symbol; `word_error`, the share of
        those that do not; `token_error`, the edits to the nearest reference over its symbols, each summed over outputs.
        With `bleu`: `bleu` and `chrf` from 0 to 100, `bleu_signature`, `chrf_signature`. References of
        different number go to sacrebleu as such (`nrefs:var`).

    Raises:
        InputError: nothing to score, or an unknown `tokenize`.
        RecurraError: sacrebleu is asked for and not installed.
    """
    if not outputs:
        raise InputError("there are no outputs to score, expected one or more")
    wrong, edits, symbols = _errors(outputs, references, tokenizer)
    told = {"exact": 1 - wrong / len(outputs), "word_error": wrong / len(outputs)}
    told["token_error"] = edits / symbols if symbols else float(edits > 0)
    return {**(_sacrebleu(outputs, references, tokenize) if bleu else {}), **told}


def check_bleu(tokenize: str = TOKENIZERS[0]) -> None:
    """Whether BLEU can be had, before work is done for it.

    Raises:
        RecurraError: sacrebleu is not installed.
        InputError: it has no such way to cut text, or what that way needs is not installed.
    """
    _bleu(tokenize)


def edits_of(outputs: Sequence[str], references: Sequence[Sequence[str]], tokenizer: Side) -> list[int]:
    """Edits of each output to its nearest reference; 0 where it is right."""
    return [edits for edits, _ in _nearest(outputs, references, tokenizer)]


def _errors(outputs: Sequence[str], references: Sequence[Sequence[str]], tokenizer: Side) -> tuple[int, int, int]:
    """How many outputs are wrong, the edits of all, and the symbols of the nearest references."""
    found = _nearest(outputs, references, tokenizer)
    return sum(edits > 0 for edits, _ in found), sum(edits for edits, _ in found), sum(symbols for _, symbols in found)


def _nearest(outputs: Sequence[str], references: Sequence[Sequence[str]], tokenizer: Side) -> list[tuple[int, int]]:
    """Of each output the edits to its nearest reference, of equals the first, and how many symbols that one has."""
    spelt: dict[str, int] = {}
    pairs, ends = list[tuple[Ids, Ids]](), []
    for output, accepted in zip(outputs, references, strict=True):
        first = _symbols(output, tokenizer, spelt)
        pairs += [(first, _symbols(reference, tokenizer, spelt)) for reference in accepted]
        ends.append(len(pairs))
    distances = edit_distances(pairs).tolist()
    found, start = [], 0
    for end in ends:
        best = min(range(start, end), key=distances.__getitem__)
        found.append((distances[best], len(pairs[best][1])))
        start = end
    return found


def _symbols(text: str, tokenizer: Side, spelt: dict[str, int]) -> Ids:
    """The ids of a text; unknown symbols get an id below 0 by their spelling, so that only equal ones are equal."""
    ids = tokenizer.encode(text)
    unknown = [] if tokenizer.unknown_id is None else np.flatnonzero(ids == tokenizer.unknown_id).tolist()
    if unknown:
        pieces = text.split() if tokenizer.tokenizer.name == "word" else text
        ids = ids.copy()
        ids[unknown] = [~spelt.setdefault(pieces[place], len(spelt)) for place in unknown]
    return ids


def _sacrebleu(outputs: Sequence[str], references: Sequence[Sequence[str]], tokenize: str) -> dict[str, Any]:
    """BLEU and chrF of all outputs with their signatures."""
    bleu = _bleu(tokenize)
    from sacrebleu.metrics.chrf import CHRF

    # sacrebleu wants a list of first references, one of second, …; None where an output has fewer.
    streams: list[Any] = [list(stream) for stream in zip_longest(*references)]
    told: dict[str, Any] = {}
    for name, metric in (("bleu", bleu), ("chrf", CHRF())):
        told[name] = float(metric.corpus_score(list(outputs), streams).score)
        told[f"{name}_signature"] = str(metric.get_signature())
    return told


def _bleu(tokenize: str) -> Any:
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError:
        raise RecurraError(
            "BLEU and chrF need sacrebleu, which is not installed: pip install 'recurra[translate]'"
        ) from None
    if tokenize not in TOKENIZERS:
        raise InputError(f"there is no bleu_tokenize {tokenize!r}. {nearest(tokenize, TOKENIZERS)}")
    try:
        # Outputs that end in " ." are what words apart by spaces are; sacrebleu's warning about them is for others.
        return BLEU(tokenize=tokenize, force=True)
    except (ImportError, RuntimeError) as error:
        # sacrebleu's own line says what to install for it.
        raise RecurraError(f"bleu_tokenize={tokenize}: {' '.join(str(error).split())}") from None
