"""Parameters counted by formula equal those of a layer."""

import re

import pytest
import table

from recurra.cells import CELLS, count_parameters, find_cell, parameter_formula
from recurra.layers import Recurrent


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("name", table.MADE)
def test_the_count_is_that_of_a_layer(name, bias):
    cell = table.MADE[name]()
    layer = Recurrent(cell, 5, 7, bias=bias)
    assert count_parameters(cell, 5, 7, bias=bias) == sum(parameter.numel() for parameter in layer.parameters())


@pytest.mark.parametrize("name", CELLS)
def test_the_formula_in_words_gives_the_count(name):
    sizes = {"HI": 7 * 5, "H²": 7 * 7, "H": 7}
    terms = re.findall(r"(\d*)(HI|H²|H)(?: \+ |$)", parameter_formula(find_cell(name)))
    assert sum(int(count or 1) * sizes[size] for count, size in terms) == count_parameters(name, 5, 7)


def test_known_numbers():
    assert count_parameters("lstm", 10, 20) == 4 * 20 * (10 + 20 + 2)
    assert parameter_formula(find_cell("peephole_lstm")) == "4HI + 4H² + 11H"
    assert parameter_formula(find_cell("min_gru")) == "2HI + 2H"
