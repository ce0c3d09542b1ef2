"""The verbs `study` and `units` as a person meets them."""

import functools

import pytest
from cli_runner import run_command

import recurra
from recurra.diagnosis.units import analyse_units
from recurra.errors import InputError


@pytest.fixture
def command(capsys):
    """Runs the command line in this process: exit code, stdout, stderr."""
    return functools.partial(run_command, capsys)


def test_study_tells_what_it_found_and_where(command, tmp_path):
    code, out, err = command("study", "vanish", "--quick", "--out", tmp_path / "study")
    assert code == 0
    assert "W_hh ~ N(0, 1.5/n)" in out
    assert out.splitlines()[-1] == str(tmp_path / "study" / "report.html")
    assert "vanish: done in" in err


def test_study_of_a_model_reads_what_was_held_out(command, trained, tmp_path):
    code, out, _ = command("study", "truncation", "--quick", "--model", trained, "--out", tmp_path)
    assert code == 0
    assert "cosine" in out


def test_units_writes_a_page(command, trained, text, tmp_path):
    code, out, _ = command("units", trained, text, "--out", tmp_path / "units.html", "--characters", 5000)
    assert code == 0
    assert "position in the line" in out
    assert "5,000 tokens" in (tmp_path / "units.html").read_text()


def test_units_of_another_task_are_refused_in_a_line(command, reverser, text, tmp_path):
    code, out, err = command("units", reverser, text, "--out", tmp_path / "u.html")
    assert (code, out) == (2, "")
    needed = "which does not have hidden units to show: expected a model for 'lm' (a language model)"
    assert err == f"recurra: {reverser}: holds a model for 'translator', {needed}\n"
    with pytest.raises(InputError, match="units: expected a language model, got a Translator"):
        analyse_units(recurra.load(reverser), "text " * 500)


def test_what_is_wrong_is_told_in_a_line(command, trained, text, tmp_path):
    for arguments, told in (
        (["study", "vanishes", "--out", tmp_path], "there is no study 'vanishes'. Did you mean 'vanish'?"),
        (["study", "vanish", "--out", text], "is a file, expected a folder to write into"),
        (["units", trained, text, "--out", tmp_path / "u", "--characters", 10], "the text has 10 tokens"),
        (["units", trained, text, "--out", tmp_path / "u", "--state", "m"], "the cell has the states h, c"),
        (["units", trained, text, "--out", tmp_path / "nowhere" / "u"], "Create it first"),
    ):
        code, out, err = command(*arguments)
        assert code in (1, 2)
        assert told in err
        assert not out
        assert len(err.splitlines()[-1:]) == 1
    assert "Traceback" not in err
