"""A share to hold out is the decimal number it is written as."""

from fractions import Fraction
from math import ceil

import pytest

from recurra.data.holdout import held_out, split_last
from recurra.errors import InputError


@pytest.mark.parametrize(("total", "share", "expected"), [(100, 0.07, 7), (10, 0.1, 1), (11, 0.1, 2), (1000, 0.001, 1)])
def test_the_share_is_a_decimal_number(total, share, expected):
    assert held_out(total, share) == expected


def test_no_share_in_hundredths_is_rounded_by_its_binary_form():
    for hundredths in range(1, 100):
        for total in (100, 300, 7_000):
            assert held_out(total, hundredths / 100) == ceil(Fraction(total * hundredths, 100))


@pytest.mark.parametrize("share", [0.0001, 0.5, 0.9999])
def test_there_is_at_least_one_item_on_either_side(share):
    assert 1 <= split_last(2, share, where="a", items="pairs") <= 1
    assert 1 <= split_last(3, share, where="a", items="pairs") <= 2


def test_what_cannot_be_divided_is_one_line():
    with pytest.raises(
        InputError, match=r"^a\.tsv: 1 pairs, nothing to hold out\. Give more, or name a file by --valid$"
    ):
        split_last(1, 0.1, where="a.tsv", items="pairs")
    for share in (0, 1, -0.1, 2, float("nan")):
        with pytest.raises(InputError, match="valid_share"):
            split_last(10, share, where="a", items="pairs")
