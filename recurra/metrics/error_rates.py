"""Error rates of output sequences, each compared with the nearest of its references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from recurra.metrics.edit_distance import Ids, edit_distances


class Nearest(NamedTuple):
    """The reference with the smallest edit distance to an output; of equal ones the first."""

    edits: int
    """The distance."""
    length: int
    """Symbols of the reference."""


def nearest_references(outputs: Sequence[Ids], references: Sequence[Sequence[Ids]]) -> list[Nearest]:
    """The nearest reference of each output.

    Args:
        outputs: sequences (N,) int64.
        references: one or more sequences (M,) int64 for each output.
    """
    pairs = [(output, one) for output, several in zip(outputs, references, strict=True) for one in several]
    distances = edit_distances(pairs).tolist()
    candidates = iter(Nearest(edits, len(pair[1])) for edits, pair in zip(distances, pairs, strict=True))
    return [min((next(candidates) for _ in several), key=lambda one: one.edits) for several in references]


def error_rates(nearest: Sequence[Nearest]) -> dict[str, float]:
    """Error rates as fractions.

    Args:
        nearest: of each output, one or more.

    Returns:
        `exact`, the share of outputs that equal a reference; `word_error`, the share of those that do not, the word
        error rate where an output is one word; `token_error`, the edits over the symbols of the nearest references,
        each summed over outputs.
    """
    wrong = sum(one.edits > 0 for one in nearest)
    edits, symbols = sum(one.edits for one in nearest), sum(one.length for one in nearest)
    return {
        "exact": 1 - wrong / len(nearest),
        "word_error": wrong / len(nearest),
        "token_error": edits / symbols if symbols else float(edits > 0),
    }
