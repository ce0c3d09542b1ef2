"""The mean of the weights: its value, when it begins, where it is in force, and that it survives an interruption."""

import pytest
import torch
from torch import nn

from recurra.errors import InputError
from recurra.training import TrainingOptions
from recurra.training.averaging import Average


def parameter(value):
    return nn.Parameter(torch.full((3,), float(value)))


def move(one, value):
    with torch.no_grad():
        one.fill_(value)


def test_the_mean_of_all_updates_is_in_force_inside_only():
    one = parameter(0)
    average = Average([one], "all", 5)
    for value in (1, 2, 6):
        move(one, value)
        average.update()
    with average.averaged_weights():
        assert one.tolist() == pytest.approx([3, 3, 3])
    assert one.tolist() == [6, 6, 6]


def test_without_averaging_nothing_is_kept():
    one = parameter(0)
    average = Average([one], "off", 5)
    average.update()
    assert not average.observe(1.0)
    with average.averaged_weights():
        assert one.tolist() == [0, 0, 0]
    assert average.state_dict()["mean"] == []


def test_nonmonotone_averaging_waits_for_a_loss_above_the_lowest_of_long_ago():
    one = parameter(0)
    average = Average([one], "nonmonotone", 2)
    # Of [3, 2, 2.5, 2.4, 2.1]: at 2.4 those more than two validations ago are [3], at 2.1 they are [3, 2].
    assert [average.observe(loss) for loss in (3, 2, 2.5, 2.4, 2.1)] == [False, False, False, False, True]
    assert average.running
    move(one, 4)
    average.update()
    move(one, 8)
    average.update()
    with average.averaged_weights():
        assert one.tolist() == pytest.approx([6, 6, 6])


def test_a_saved_mean_goes_on():
    one, other = parameter(0), parameter(0)
    first, second = Average([one], "all", 5), Average([other], "all", 5)
    for value in (1, 3):
        move(one, value)
        first.update()
    second.load_state_dict(first.state_dict())
    for average, held in ((first, one), (second, other)):
        move(held, 8)
        average.update()
        with average.averaged_weights():
            assert held.tolist() == pytest.approx([4, 4, 4])


def test_a_misspelt_averaging_is_told_its_neighbours():
    with pytest.raises(InputError, match="Did you mean 'nonmonotone'"):
        TrainingOptions(averaging="nonmonoton")
