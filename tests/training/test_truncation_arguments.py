"""What `truncated` refuses, in one line, before the first window."""

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from recurra.errors import InputError
from recurra.layers import LSTM
from recurra.training.truncation import truncated


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"window": 2.5}, "window=2.5 must be a whole number of steps"),
        ({"window": True}, "window=True must be a whole number of steps"),
        ({"x": pack_sequence([torch.zeros(5, 3)])}, "x is a packed sequence, expected a padded tensor and lengths="),
        ({"return_gates": True}, "return_gates=True: the module must return"),
        ({"lengths": [5, 2]}, "lengths is a list, expected an int64 tensor"),
    ],
)
def test_what_does_not_fit_is_told_in_a_line(changed, message):
    given = {"x": torch.zeros(5, 2, 3), "window": 2} | changed
    with pytest.raises(InputError, match=message) as caught:
        truncated(LSTM(3, 4), given.pop("x"), **given)
    assert "\n" not in str(caught.value)
