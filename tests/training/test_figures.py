"""Numbers as they are printed: readable at any size."""

import math

import pytest

from recurra.metrics import perplexity
from recurra.training import figure, percent, short_figure


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (3.25, "3.2500"),
        (0.0, "0.0000"),
        (123456.5, "123456.5000"),
        (1234567.0, "1.2346e+06"),
        (-1e9, "-1.0000e+09"),
        (perplexity(1e5), "inf"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (math.nan, "nan"),
    ],
)
def test_a_figure_has_few_characters(value, shown):
    assert figure(value) == shown


def test_thousands_may_be_parted():
    assert figure(12345.678, grouped=True) == "12,345.6780"
    assert short_figure(1234.5, grouped=True) == "1,234"
    assert short_figure(1234.5) == "1234"
    assert short_figure(perplexity(2000.0)) == "inf"


def test_a_share_has_three_digits_however_small():
    assert [percent(share) for share in (0.5, 1 / 6, 1 / 60_000, 0, 1)] == [
        "50 %",
        "16.7 %",
        "0.00167 %",
        "0 %",
        "100 %",
    ]
