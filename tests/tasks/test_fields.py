"""Options out of plain values: lists of one, items of their kind, cells by name, bounds."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import own_cells
import pytest

from recurra.cells import LSTM, Cell
from recurra.errors import InputError
from recurra.tasks.cell_names import make_cell
from recurra.tasks.fields import field_names, option_fields, optional_names, read_fields, to_plain
from recurra.tasks.language_model.options import NetworkOptions, TextOptions, WindowOptions
from recurra.training import TrainingOptions


def read(kind, **values):
    return read_fields(kind, values, where="here")


@pytest.mark.parametrize("given", ["b.txt", Path("b.txt"), ["b.txt"], (Path("b.txt"),)])
def test_one_path_is_a_list_of_one(given):
    assert read(TextOptions, valid=given).valid == [Path("b.txt")]


def test_one_word_is_a_list_of_one():
    assert read(NetworkOptions, cell_options="rate=2").recurrent.cell_options == ["rate=2"]


@pytest.mark.parametrize(
    ("kind", "values"),
    [(NetworkOptions, {"cell_options": [1]}), (NetworkOptions, {"cell_options": 1}), (TextOptions, {"valid": [3]})],
)
def test_items_of_a_list_are_of_their_kind(kind, values):
    (name,) = values
    with pytest.raises(InputError, match=f"here: {name}=.*, expected a list of .* or nothing"):
        read(kind, **values)


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (LSTM, "lstm"),
        (LSTM(), "lstm"),
        (own_cells.Leaky, "own_cells:Leaky"),
        (own_cells.Leaky(), "own_cells:Leaky"),
        (own_cells.Plain(), "own_cells:Plain"),
    ],
)
def test_a_cell_goes_by_its_name(cell, name):
    options = read(NetworkOptions, cell=cell).recurrent
    assert options.cell == name
    assert type(make_cell(options)) is (cell if isinstance(cell, type) else type(cell))


def test_a_cell_with_options_of_its_own_is_refused():
    with pytest.raises(InputError, match=r"here: cell=.*cell='own_cells:Leaky' with cell_options=\['rate=3.0'\]"):
        read(NetworkOptions, cell=own_cells.Leaky(rate=3.0))
    with pytest.raises(InputError, match="activation='relu'"):
        read(NetworkOptions, cell=LSTM(activation="relu"))


def test_a_cell_that_cannot_be_imported_is_refused(monkeypatch):
    class Here(Cell):
        gates = ("h",)

    with pytest.raises(InputError, match="Here is defined in a function, .* into a module"):
        read(NetworkOptions, cell=Here)
    monkeypatch.setattr(own_cells.Plain, "__module__", "__main__")
    with pytest.raises(InputError, match="Plain is defined in __main__, .* into a module"):
        read(NetworkOptions, cell=own_cells.Plain)


def test_a_class_that_is_no_cell_is_refused():
    with pytest.raises(InputError, match="cell=.*expected a word"):
        read(NetworkOptions, cell=dict)


def test_a_seed_fits_into_64_bits():
    assert TrainingOptions(seed=2**63 - 1).seed == 2**63 - 1
    with pytest.raises(InputError, match="seed=9223372036854775808: expected a whole number from 0 to 2"):
        TrainingOptions(seed=2**63)


@pytest.mark.parametrize("name", ["activation_regularisation", "temporal_regularisation"])
@pytest.mark.parametrize("value", [math.inf, math.nan, -1.0])
def test_penalties_are_finite(name, value):
    with pytest.raises(InputError, match=f"{name}={value}: expected a finite number of 0 or more"):
        WindowOptions(**{name: value})


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack."""

    layers: int = 1
    """How many."""
    cell: str | None = None
    """Which."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network that holds a stack."""

    width: int = 4
    """How wide."""
    stack: Stack = field(default_factory=lambda: Stack(layers=3))
    kinds: list[str] = field(default_factory=list)
    """Which kinds."""


def test_options_that_hold_options_are_flat_for_users():
    assert field_names(Network) == ["width", "layers", "cell", "kinds"]
    assert optional_names(Network) == {"cell"}
    assert {name: one.default for name, one in option_fields(Network).items()} == {
        "width": 4, "layers": 3, "cell": None, "kinds": [],
    }  # fmt: skip
    assert read_fields(Network, {}, where="here") == Network()
    options = read_fields(Network, {"layers": 2, "kinds": "a"}, where="here")
    assert options == Network(stack=Stack(layers=2), kinds=["a"])
    assert to_plain(options) == {"width": 4, "layers": 2, "cell": None, "kinds": ["a"]}
    assert read_fields(Network, to_plain(options), where="here") == options


def test_errors_of_inner_options_name_them_as_the_user_does():
    with pytest.raises(InputError, match=r"here: layers='two', expected a whole number"):
        read_fields(Network, {"layers": "two"}, where="here")
    with pytest.raises(InputError, match="here: there is no option 'layer'. Did you mean 'layers'"):
        read_fields(Network, {"layer": 2}, where="here")
    with pytest.raises(InputError, match="there is no option 'stack'"):
        read_fields(Network, {"stack": 2}, where="here")
