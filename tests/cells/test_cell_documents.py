"""What the command line and docs/cells.md say of the cells is what the cells are."""

import re
from pathlib import Path

import pytest
import table

from recurra.cells import CELLS, Cell, Gates, State, cell_options, find_cell
from recurra.cells.document import as_text, describe, page, summary
from recurra.cli.cells import cells
from recurra.engine.run import engines_for
from recurra.errors import InputError

PAGE = Path(__file__).parents[2] / "docs" / "cells.md"


def test_the_page_is_what_the_cells_say():
    assert PAGE.read_text() == page(engines_for), "run: recurra cells --markdown > docs/cells.md"


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_says_what_it_computes_and_where_it_comes_from(name):
    one = describe(find_cell(name), ["unroll"])
    assert one.name == name
    assert re.search(r"\(\d{4}\)", one.facts["paper"])
    assert re.search(r"^ {4}h_t = ", one.body, re.MULTILINE)
    assert all(one.options.values()), f"an option of {name} is not in the docstring's Args"
    assert len(one.options) == len(cell_options(find_cell(name)))


def test_options_are_told_with_the_values_of_this_cell_and_the_rest_of_their_lines():
    options = describe(find_cell("slstm", forget="exp"), []).options
    assert options["forget = 'exp'"].startswith('"sigmoid" or "exp"')
    assert options["activation = 'tanh'"].endswith("or a function itself, elementwise.")


def test_a_cell_without_a_docstring_and_options_is_described_by_its_names():
    one = describe(table.Odd(), ["unroll"])
    assert one.facts["gates"] == "a n v"
    assert one.facts["recurrent"] == "a n"
    assert one.facts["vectors"] == "k"
    assert one.facts["paper"] == "none named"
    assert one.options == {}
    assert describe(type("Bare", (table.Leaky,), {"__doc__": ""})(), []).summary == ""


class Sorted(Cell):
    """No engine compiles this."""

    gates = ("a",)

    def step(self, x, u, s, p):
        return State(h=(x.a + u.a).sort(-1).values), Gates()


def test_the_engines_are_those_that_run_the_cell():
    assert engines_for(find_cell("lstm")) == ("cpu", "native", "unroll")
    assert engines_for(find_cell("lstm", activation="relu")) == ("cpu", "unroll")
    assert engines_for(find_cell("slstm")) == ("cpu", "unroll")
    assert engines_for(table.Odd()) == ("cpu", "unroll")
    assert engines_for(Sorted()) == ("unroll",)


def test_the_list_has_one_line_a_cell_in_eighty_columns(capsys):
    cells()
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    for name, kind in CELLS.items():
        (line,) = (line for line in lines if line.startswith(f"{name} "))
        assert summary(kind) in line
        assert " ".join(kind.gates) in line


@pytest.mark.parametrize("name", CELLS)
def test_one_cell_is_told_in_eighty_columns(name, capsys):
    cells(name)
    told = capsys.readouterr().out
    assert told == as_text(describe(find_cell(name), engines_for(find_cell(name)))) + "\n"
    assert max(map(len, told.splitlines())) <= 80
    assert find_cell(name).paper.split(",")[0] in told


def test_a_misspelt_cell_is_told_its_neighbours():
    with pytest.raises(InputError, match="no cell 'sltsm'. Did you mean 'slstm'"):
        cells("sltsm")
