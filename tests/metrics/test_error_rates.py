"""Error rates of sequences: against the nearest of several references, of equal ones the first."""

import numpy as np
import pytest

from recurra.metrics import error_rates, nearest_references


def ids(*texts):
    return [np.array([ord(letter) for letter in text], dtype=np.int64) for text in texts]


def test_the_nearest_reference_counts_and_of_equal_ones_the_first():
    outputs = ids("abc", "xy", "")
    nearest = nearest_references(outputs, [ids("q", "abd"), ids("xyz", "x"), ids("", "a")])
    assert [(one.edits, one.length) for one in nearest] == [(1, 3), (1, 3), (0, 0)]


def test_rates_sum_edits_and_symbols_over_outputs():
    nearest = nearest_references(ids("abc", "abc", "abc"), [ids("abc"), ids("abd"), ids("abcabc")])
    assert error_rates(nearest) == {"exact": pytest.approx(1 / 3), "word_error": 2 / 3, "token_error": 4 / 12}


def test_empty_references_count_any_edit_as_one_error():
    assert error_rates(nearest_references(ids(""), [ids("")]))["token_error"] == 0
    assert error_rates(nearest_references(ids("ab"), [ids("")]))["token_error"] == 1
