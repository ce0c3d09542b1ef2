"""Lengths that are no tensor are refused in one line."""

import pytest
import torch

from recurra.errors import InputError
from recurra.layers import GRU


@pytest.mark.parametrize("lengths", [[5, 2, 1], (5, 2, 1), 5])
def test_lengths_that_are_no_tensor_are_refused(lengths):
    with pytest.raises(InputError, match="GRU: lengths is a (list|tuple|int), expected an int64 tensor") as caught:
        GRU(3, 4)(torch.zeros(5, 3, 3), lengths=lengths)
    assert "\n" not in str(caught.value)
