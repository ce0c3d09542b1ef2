"""BLEU and chrF of texts, computed by sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from recurra.errors import InputError, RecurraError, nearest

BLEU_TOKENIZERS = ("13a", "intl", "zh", "char", "none", "ja-mecab", "ko-mecab")
"""How BLEU may cut text into words; the first is the default. sacrebleu's others download models."""


def bleu_and_chrf(
    outputs: Sequence[str], references: Sequence[Sequence[str]], *, tokenize: str = BLEU_TOKENIZERS[0]
) -> dict[str, Any]:
    """BLEU and chrF of all outputs with their signatures.

    Args:
        outputs: texts.
        references: one or more texts for each output; different numbers of them are reported as `nrefs:var`.
        tokenize: how sacrebleu cuts text for BLEU, one of `BLEU_TOKENIZERS`.

    Returns:
        `bleu` and `chrf` from 0 to 100, `bleu_signature` and `chrf_signature`.

    Raises:
        RecurraError: sacrebleu, or what `tokenize` needs, is not installed.
        InputError: an unknown `tokenize`.
    """
    bleu = _bleu(tokenize)
    from sacrebleu.metrics.chrf import CHRF

    # sacrebleu expects a list of first references, one of second, …; None where an output has fewer.
    streams: list[Any] = [list(stream) for stream in zip_longest(*references)]
    scores: dict[str, Any] = {}
    for name, metric in (("bleu", bleu), ("chrf", CHRF())):
        scores[name] = float(metric.corpus_score(list(outputs), streams).score)
        scores[f"{name}_signature"] = str(metric.get_signature())
    return scores


def check_bleu(tokenize: str = BLEU_TOKENIZERS[0]) -> None:
    """Checks that BLEU can be computed, before work is done for it.

    Raises:
        RecurraError: sacrebleu, or what `tokenize` needs, is not installed.
        InputError: an unknown `tokenize`.
    """
    _bleu(tokenize)


def _bleu(tokenize: str) -> Any:
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError:
        raise RecurraError(
            "BLEU and chrF need sacrebleu, which is not installed: pip install 'recurra[translate]'"
        ) from None
    if tokenize not in BLEU_TOKENIZERS:
        raise InputError(f"there is no bleu_tokenize {tokenize!r}. {nearest(tokenize, BLEU_TOKENIZERS)}")
    try:
        # Outputs that end in " ." are expected where words are separated by spaces: `force` silences the warning.
        return BLEU(tokenize=tokenize, force=True)
    except (ImportError, RuntimeError) as error:
        # sacrebleu's message names the package to install.
        raise RecurraError(f"bleu_tokenize={tokenize}: {' '.join(str(error).split())}") from None
