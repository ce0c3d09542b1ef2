import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding.most_probable import most_probable


def sorted_out(values, count):
    """The same by one stable sort."""
    return values.sort(dim=-1, descending=True, stable=True).indices[:, :count].sort(dim=-1).values


@given(st.integers(0, 2**31), st.integers(1, 1500), st.sampled_from([1, 2, 5]), st.sampled_from([2, 50, 10**6]))
def test_equals_a_stable_sort(seed, size, count, distinct):
    draw = torch.Generator().manual_seed(seed)
    values = -torch.randint(distinct, (3, size), generator=draw).float()
    values[0, torch.rand(size, generator=draw) < 0.9] = -math.inf
    assert torch.equal(most_probable(values, min(count, size)), sorted_out(values, min(count, size)))


@pytest.mark.parametrize("size", [2560, 2600, 8000])
@pytest.mark.parametrize("distinct", [1, 3, 10**7])
def test_chunks_equal_a_stable_sort(size, distinct):
    for seed in range(20):
        draw = torch.Generator().manual_seed(seed)
        values = -torch.randint(distinct, (4, size), generator=draw).double() / 7
        values[1] = -math.inf
        values[2, :-3] = -math.inf
        values[3, -1] = 1.0
        assert torch.equal(most_probable(values, 5), sorted_out(values, 5))
        assert torch.equal(most_probable(values, 1), values.argmax(-1, keepdim=True))


@pytest.mark.parametrize("size", [10, 5000])
def test_nan_is_never_passed_over(size):
    values = torch.zeros(2, size)
    values[1, size // 2] = math.nan
    ids = most_probable(values, 3)
    assert ids[0].tolist() == [0, 1, 2]
    assert size // 2 in ids[1].tolist()
