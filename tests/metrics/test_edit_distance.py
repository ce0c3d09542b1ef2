"""Edit distances of many pairs at once: equal to distances counted one by one."""

import numpy as np

from recurra.metrics import edit_distances


def distance(one, other):
    row = list(range(len(other) + 1))
    for i, x in enumerate(one, start=1):
        last, row = row, [i]
        for j, y in enumerate(other):
            row.append(min(last[j + 1] + 1, row[j] + 1, last[j] + (x != y)))
    return row[-1]


def test_distances_of_many_pairs_at_once_are_those_of_each():
    g = np.random.default_rng(0)
    pairs = [tuple(g.integers(0, 4, g.integers(0, 9)) for _ in range(2)) for _ in range(500)]
    pairs += [tuple(g.integers(0, 50, size) for size in sizes) for sizes in ((300, 7), (0, 200), (150, 151))]
    assert edit_distances(pairs).tolist() == [distance(*pair) for pair in pairs]
    assert edit_distances([]).tolist() == []
