"""Edit distances of many pairs of sequences at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]

# Cells of a row of the tables that are filled together: what stays in the cache.
_CELLS = 1 << 14


def edit_distances(pairs: Sequence[tuple[Ids, Ids]]) -> Ids:
    """The fewest insertions, deletions and substitutions that turn one sequence into the other (Levenshtein).

    Args:
        pairs: two sequences (N,), (M,) int64 each.

    Returns:
        int64, one a pair.
    """
    found = np.zeros(len(pairs), dtype=np.int64)
    # The longest first: what is filled together has like sizes.
    order = sorted(range(len(pairs)), key=lambda number: (-len(pairs[number][1]), -len(pairs[number][0])))
    start = 0
    while start < len(order):
        size = max(1, _CELLS // (len(pairs[order[start]][1]) + 1))
        chosen = order[start : start + size]
        found[chosen] = _together([pairs[number] for number in chosen])
        start += size
    return found


def _together(pairs: Sequence[tuple[Ids, Ids]]) -> Ids:
    """The distances of pairs of which the first has the longest second sequence.

    Row i of each pair's table D holds the distances of its first i symbols to all beginnings of the other sequence.
    D_ij = min(D_{i-1,j} + 1, D_{i-1,j-1} + [unequal], D_{i,j-1} + 1); the last of the three is a running minimum of
    D_ij - j, so that a row needs no loop over j.
    """
    firsts, lengths = _padded([first for first, _ in pairs])
    seconds, ends = _padded([second for _, second in pairs])
    columns = np.arange(seconds.shape[1] + 1)
    row = np.tile(columns, (len(pairs), 1))  # (N, M + 1)
    found = ends.copy()  # right where there is no first symbol
    for i in range(firsts.shape[1]):
        unequal = seconds != firsts[:, i : i + 1]
        first = np.full((len(pairs), 1), i + 1)
        row = np.concatenate([first, np.minimum(row[:, 1:] + 1, row[:, :-1] + unequal)], axis=1)
        row = np.minimum.accumulate(row - columns, axis=1) + columns
        done = np.flatnonzero(lengths == i + 1)
        found[done] = row[done, ends[done]]
    return found


def _padded(sequences: Sequence[Ids]) -> tuple[Ids, Ids]:
    """The sequences (N, longest), zeros behind them, which no distance looks at; and their lengths."""
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    padded = np.zeros((len(sequences), int(lengths.max(initial=0))), dtype=np.int64)
    for number, sequence in enumerate(sequences):
        padded[number, : len(sequence)] = sequence
    return padded, lengths
