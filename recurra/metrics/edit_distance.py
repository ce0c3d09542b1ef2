"""Edit distances of many pairs of sequences at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from recurra.data.batching import by_length, pad

Ids = npt.NDArray[np.int64]

# Cells of a row of the tables that are filled together: what stays in the cache.
_CELLS = 1 << 14


def edit_distances(pairs: Sequence[tuple[Ids, Ids]], *, gap: int = 1, substitution: int = 1) -> Ids:
    """The fewest insertions, deletions and substitutions that turn one sequence into the other (Levenshtein).

    Args:
        pairs: two sequences (N,), (M,) int64 each.
        gap: the cost of an insertion or a deletion.
        substitution: the cost of a substitution; with other costs than 1 the result is the smallest sum of costs.

    Returns:
        int64, one a pair.
    """
    distances = np.zeros(len(pairs), dtype=np.int64)
    for numbers in by_length([len(second) + 1 for _, second in pairs], tokens=_CELLS):
        distances[numbers] = _together([pairs[number] for number in numbers], gap, substitution)
    return distances


def _together(pairs: Sequence[tuple[Ids, Ids]], gap: int, substitution: int) -> Ids:
    """The distances of pairs of similar lengths.

    Row i of each pair's table D holds the distances of its first i symbols to all beginnings of the other sequence.
    D_ij = min(D_{i-1,j} + gap, D_{i-1,j-1} + substitution [unequal], D_{i,j-1} + gap); the last of the three is a
    running minimum of D_ij - gap j, so that a row needs no loop over j.
    """
    lengths, ends = (np.array([len(pair[side]) for pair in pairs], dtype=np.int64) for side in (0, 1))
    firsts = pad([first for first, _ in pairs]).numpy()  # (L, N)
    seconds = np.ascontiguousarray(pad([second for _, second in pairs]).numpy().T)  # (N, M)
    columns = gap * np.arange(seconds.shape[1] + 1)
    row = np.tile(columns, (len(pairs), 1))  # (N, M + 1)
    distances = gap * ends  # those of an empty first sequence
    for i, symbols in enumerate(firsts, start=1):
        unequal = seconds != symbols[:, None]
        first = np.full((len(pairs), 1), gap * i)
        row = np.concatenate([first, np.minimum(row[:, 1:] + gap, row[:, :-1] + substitution * unequal)], axis=1)
        row = np.minimum.accumulate(row - columns, axis=1) + columns
        done = np.flatnonzero(lengths == i)
        distances[done] = row[done, ends[done]]
    return distances
