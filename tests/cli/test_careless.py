"""Commands typed carelessly: one line on stderr that says what is wrong and what to type."""

import functools
import shutil

import pytest
from cli_runner import run_command


@pytest.fixture
def recurra_command(capsys):
    return functools.partial(run_command, capsys)


def check(recurra_command, cases):
    for arguments, message in cases:
        code, out, err = recurra_command(*arguments)
        assert (code, out, len(err.splitlines())) == (2, "", 1), (arguments, err)
        assert message in err, (arguments, err)


def test_what_is_missing_or_too_much_is_named(recurra_command, trained):
    check(recurra_command, [
        (["generate"], "recurra generate: DIR is missing. See recurra generate --help"),
        (["train", "lm", "x"], "recurra train lm: --out is missing. See recurra train lm --help"),
        (["generate", trained, "--length"], "--length: its value is missing"),
        (["generate", trained, "more"], "'more': recurra generate does not take another argument"),
        (["generat"], 'Did you mean "generate"?'),
        (["train", "lmm"], 'Did you mean "lm"?'),
        (["generate", trained, "--lenght", 3], "Did you mean --length?"),
        (["generate", trained, "--length", "1e3"], "recurra: --length 1e3: expected a whole number"),
        (["generate", trained, "--length", "1,000"], "recurra: --length 1,000: expected a whole number"),
        (["generate", trained, "--length", "-1"], "--length -1: expected 0 or more"),
        (["generate", trained, "--top-k", "0"], "--top-k 0"),
        (["generate", trained, "--seed", "-1"], "--seed -1: expected 0 to"),
        (["generate", trained, "--seed", 2**63], f"--seed {2**63}: expected 0 to"),
        (["generate", trained, "--temperature", "warm"], '--temperature: unable to convert "warm" into float'),
    ])  # fmt: skip
    code, out, _ = recurra_command()
    assert (code, "Usage: recurra COMMAND" in out) == (0, True)


def test_wrong_folders_are_named_for_what_they_are(recurra_command, trained, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begun, seeds, empty = tmp_path / "begun", tmp_path / "seeds", tmp_path / "empty"
    (begun / "training").mkdir(parents=True)
    shutil.copytree(trained, seeds / "seed-0")
    empty.mkdir()
    wrong = {
        "nowhere": "nowhere: no such folder",
        text: "is a file, expected the folder of a model",
        text / "x": "no such folder",
        begun: f"recurra train TASK --out {begun} --resume",
        seeds: f"holds 1 models, one for each seed: name one, such as {seeds / 'seed-0'}",
        empty: "is not a model, or is incomplete",
        "x" * 300: "File name too long",
        "": "'': an empty argument, expected the name of a file or folder",
        "~/model": "the shell did not expand ~ here",
    }
    for folder, message in wrong.items():
        for verb in ("info", "generate", "score", "evaluate", "diagnose"):
            check(recurra_command, [([verb, folder], message)])
    check(recurra_command, [
        (["train", "lm", text, "--out", ""], "--out '': an empty argument"),
        (["train", "lm", text, "--out="], "--out '': an empty argument"),
        (["train", "lm", text, "--out=~/m"], "--out=~/m: the shell did not expand ~ here. Write --out $HOME/m"),
        (["train", "lm", "*.none", "--out", "m"], "*.none: no such file"),
        (["train", "lm", text, "--recipe", empty, "--out", "m"], "cannot be read as a recipe: Is a directory"),
    ])  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun", "empty", "seeds"]
    code, out, _ = recurra_command("generate", trained, "--prompt", "", "--length", 0, "--seed", 0)
    assert (code, out) == (0, "\n")


def test_a_model_for_another_task_is_named_with_the_one_that_is_needed(
    recurra_command, trained, reverser, text, tmp_path
):
    page = tmp_path / "page.html"
    check(recurra_command, [
        (["tag", trained], "holds a model for 'lm', which does not tag: expected a model for 'tagger' (a tagger)"),
        (["translate", trained], "which does not translate: expected a model for 'translator' (a translator)"),
        (["generate", reverser], "holds a model for 'translator', which does not generate: expected a model for 'lm'"),
        (["score", reverser], "which does not score lines: expected a model for 'lm' (a language model)"),
        (["units", reverser, text, "--out", page], "expected a model for 'lm' (a language model)"),
        (["diagnose", reverser], "holds a model for 'translator', expected one for 'lm' or 'tagger'"),
        (["evaluate", trained, text, "--beam", 3], "--beam is for a translator"),
    ])  # fmt: skip
    code, _, err = recurra_command("study", "truncation", "--model", reverser, "--out", tmp_path / "study")
    assert (code, "expected a model for 'lm'" in err) == (2, True)


def test_a_folder_as_a_file_and_names_that_are_no_text(recurra_command, trained, tmp_path):
    odd = tmp_path / "caf\udce9\nx"
    check(recurra_command, [
        (["score", trained, tmp_path], "is a folder, expected a file"),
        (["evaluate", trained, tmp_path], "is a folder, expected a text file"),
    ])  # fmt: skip
    check(recurra_command, [(["score", trained, odd], "caf\\udce9\\nx: no such file")])
    odd.write_text("the cat.\n")
    code, out, _ = recurra_command("score", trained, odd)
    assert (code, out.endswith("\tthe cat.\n")) == (0, True)
