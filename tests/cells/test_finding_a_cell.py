"""A cell of one's own that cannot be had, and options of the wrong kind: one line each."""

from dataclasses import dataclass

import pytest
import table
import torch

from recurra.cells import Elman, Initialisation, find_cell
from recurra.cells.document import as_text, describe, summary
from recurra.errors import InputError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1\ndef (\n", r"cannot be imported: SyntaxError: .*broken\w*\.py, line 2"),
        ("x = 1\n\ny = 1 / 0\n", r"cannot be imported: ZeroDivisionError: division by zero .*broken\w*\.py, line 3"),
        ("import sys\nsys.exit(3)\n", r"cannot be imported: SystemExit: 3 .*broken\w*\.py, line 2"),
        ("import no_such_module\n", "no module 'no_such_module'"),
        ("x = 1\n", "has no 'Mine'"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_with_its_line(tmp_path, monkeypatch, content, message):
    name = f"broken{abs(hash(content))}"
    (tmp_path / f"{name}.py").write_text(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        find_cell(f"{name}:Mine")
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("which", [":", "os:", ":Mine", ".os:Mine"])
def test_half_a_name_is_refused(which):
    with pytest.raises(InputError, match="expected 'module:Class'"):
        find_cell(which)


@dataclass(frozen=True)
class Needy(table.Leaky):
    rate: float


class Bare(Elman):
    pass


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        ("antisymmetric_rnn", {"step_size": "abc"}, "step_size='abc', expected a number"),
        ("antisymmetric_rnn", {"step_size": True}, "step_size=True, expected a number"),
        ("slstm", {"forget": 3.0}, "forget=3.0, expected a string"),
        ("lstm", {"activation": 3.0}, "activation=3.0, expected a string"),
        (Needy, {}, "rate"),
    ],
)
def test_an_option_of_the_wrong_kind_is_refused(cell, options, message):
    with pytest.raises(InputError, match=message) as caught:
        find_cell(cell, **options)
    assert "\n" not in str(caught.value)


def test_options_of_the_right_kind_are_taken():
    assert find_cell("antisymmetric_rnn", step_size=1).step_size == 1
    assert find_cell("elman", activation=torch.sin).activation is torch.sin
    assert find_cell(Needy, rate=0.5).rate == 0.5


def test_a_cell_without_a_docstring_does_not_speak_with_its_bases():
    told = describe(Bare(), ["unroll"])
    assert (told.summary, told.body) == ("", "")
    assert all(text == "" for text in told.options.values())
    assert "\n\ngates" in as_text(told)
    assert summary(Bare) == summary(Needy) == ""


def test_normal_asks_for_its_variance():
    with pytest.raises(InputError, match=r"recurrent='normal' needs a variance \(init_variance"):
        Initialisation(recurrent="normal")
    with pytest.raises(InputError, match="applies only to recurrent='normal'"):
        Initialisation(variance=2.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_refused(value):
    with pytest.raises(InputError, match=f"forget_bias={value}"):
        Initialisation(forget_bias=value)
    with pytest.raises(InputError, match=f"variance={value}"):
        Initialisation(recurrent="normal", variance=value)
