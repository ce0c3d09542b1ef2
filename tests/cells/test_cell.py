"""The contract of a cell: what it may say, and what is told to someone who says it wrong."""

import pytest
import table
import torch

from recurra.cells import ALIASES, CELLS, Cell, Elman, Gates, State, activation, cell_name, cell_options, find_cell
from recurra.errors import InputError


def cell_with(step, **parts):
    return type("Mine", (Cell,), {"gates": ("a",), "step": step, **parts})


def test_the_second_phase_is_read_off_the_formula():
    assert table.Odd().second_phase == ("n",)
    assert table.Leaky().second_phase == ()
    second = {name: find_cell(name).second_phase for name in CELLS}
    assert {name: gates for name, gates in second.items() if gates} == {"cho_gru": ("n",), "minimal_gated_unit": ("n",)}


def test_a_gate_that_is_not_named_is_told_with_its_neighbours():
    mine = cell_with(lambda self, x, u, s, p: (State(h=x.b + u.a), Gates()))
    with pytest.raises(InputError, match=r"Mine.step reads 'b', which the class does not declare. Known: a, h"):
        _ = mine().second_phase


def test_a_mistake_inside_the_formula_is_not_taken_for_a_misnamed_gate():
    mine = cell_with(lambda self, x, u, s, p: (State(h=torch.no_such_function(x.a)), Gates()))
    with pytest.raises(AttributeError, match="no_such_function"):
        _ = mine().second_phase


def test_a_step_must_return_the_states_that_the_cell_names():
    mine = cell_with(lambda self, x, u, s, p: (State(h=x.a, c=x.a), Gates()))
    with pytest.raises(InputError, match=r"returns the states \('h', 'c'\) but states=\('h',\)"):
        _ = mine().second_phase


def test_a_step_must_return_state_and_gates():
    mine = cell_with(lambda self, x, u, s, p: x.a)
    with pytest.raises(InputError, match="must return"):
        _ = mine().second_phase


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"gates": "ifgo"}, "must be a tuple of names"),
        ({"gates": ()}, "at least one gate"),
        ({"gates": ("a", "a")}, "names one twice"),
        ({"states": ("c", "h")}, "start with 'h'"),
        ({"recurrent": ("b",)}, "not in gates"),
    ],
)
def test_parts_that_make_no_sense_are_refused_where_the_class_is_written(parts, message):
    with pytest.raises(InputError, match=message):
        cell_with(lambda *_: None, **parts)


def test_cells_are_found_by_name_class_instance_and_import_path(tmp_path, monkeypatch):
    (tmp_path / "my_cells.py").write_text(
        "from recurra.cells import Cell, Gates, State\n\n\nclass Sum(Cell):\n    gates = ('h',)\n\n"
        "    def step(self, x, u, s, p):\n        return State(h=x.h + u.h), Gates()\n"
    )
    monkeypatch.chdir(tmp_path)
    assert find_cell("elman", activation="relu") == Elman("relu") == find_cell(Elman, activation="relu")
    assert find_cell(Elman("sin")).activation == "sin"
    found = find_cell("my_cells:Sum")
    assert cell_name(type(found)) == "my_cells:Sum"
    assert cell_name(Elman) == "elman"
    with pytest.raises(InputError, match="my_cells has no 'Sun'. Did you mean 'Sum'"):
        find_cell("my_cells:Sun")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("rnn", Elman()),
        ("RNN", Elman()),
        ("vanilla", Elman()),
        ("simple-rnn", Elman()),
        ("rnn_tanh", Elman("tanh")),
        ("rnn_relu", Elman("relu")),
        ("LSTM", find_cell("lstm")),
        ("Peephole-LSTM", find_cell("peephole_lstm")),
        ("mgu", find_cell("minimal_gated_unit")),
    ],
)
def test_cells_have_the_names_that_people_know_them_by(name, meant):
    assert find_cell(name) == meant


def test_every_further_name_means_a_cell_of_the_table():
    assert len(ALIASES) > 5
    for name, (cell, options) in ALIASES.items():
        assert name not in CELLS
        assert find_cell(name) == find_cell(cell, **options)
    assert find_cell("rnn_relu", activation="sin") == Elman("sin")


@pytest.mark.parametrize(
    ("which", "options", "message"),
    [
        ("lstmm", {}, "no cell 'lstmm'. Did you mean 'lstm'"),
        ("no_such_module:Cell", {}, "no module 'no_such_module'"),
        (int, {}, "not a recurra.Cell"),
        ("lstm", {"forget": "exp"}, "the cell lstm has no option 'forget'. Known: activation"),
        (table.Leaky, {"activation": "relu"}, "has no option 'activation'. It has no options"),
        ("elman", {"activaton": "relu"}, "Did you mean 'activation'"),
        ("elman", {"activation": "rellu"}, "no activation 'rellu'. Did you mean 'relu'"),
        (Elman(), {"activation": "relu"}, "is an instance already"),
    ],
)
def test_a_misspelt_cell_or_option_is_told_its_neighbours(which, options, message):
    with pytest.raises(InputError, match=message):
        find_cell(which, **options)


def test_options_go_into_files_unless_they_are_functions():
    assert cell_options(Elman("relu")) == {"activation": "relu"}
    assert cell_options(table.Leaky()) == {}
    assert cell_options(find_cell("slstm", forget="exp")) == {"forget": "exp", "activation": "tanh"}
    with pytest.raises(InputError, match="activation is a function, which cannot be saved"):
        cell_options(Elman(torch.cos))


def test_an_activation_is_a_name_or_a_function():
    assert activation("identity")(torch.tensor(3.0)) == 3
    assert activation(torch.cos) is torch.cos
