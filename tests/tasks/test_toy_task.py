"""A task is one folder and one line: a toy in the table has every command, its card and its row in docs/tasks.md."""

import importlib
import json
import os
import signal

import pytest
import toy_task
from cli_runner import run_command

import recurra
from recurra.bundle.manifest import read_manifest
from recurra.errors import InputError
from recurra.stopping import Interrupted
from recurra.tasks import TASKS, tasks_with
from recurra.tasks.capabilities import Generates, Probes
from recurra.tasks.document import page
from recurra.training import Silent

RUN = {"steps": 30, "valid_every": 10, "hidden_size": 6}


def rebuild():
    """The command line, built from the table as it is now."""
    for name in ("train", "evaluate", "app"):
        importlib.reload(importlib.import_module(f"recurra.cli.{name}"))


@pytest.fixture(scope="module", autouse=True)
def toy():
    """The one line: the toy in the table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, toy_task.TASK.name, toy_task.TASK)
        rebuild()
        yield toy_task.TASK
    rebuild()


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    path = tmp_path_factory.mktemp("digits") / "digits.txt"
    path.write_text("0123456789\n" * 30)
    return path


@pytest.fixture(scope="module")
def model(digits, tmp_path_factory):
    out = tmp_path_factory.mktemp("toys") / "guesser"
    recurra.train("toy", digits, out=out, **{**RUN, "steps": 150})
    return out


@pytest.fixture
def command(capsys):
    return lambda *arguments: run_command(capsys, *arguments)


class InterruptedAt(Silent):
    """A display that interrupts the run after an update, as Ctrl-C does."""

    def __init__(self, step):
        self.step = step

    def advance(self, step):
        if step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def flags(**options):
    return [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", value)]


def test_it_is_listed_with_its_commands(command):
    code, out, _ = command("--help")
    assert (code, "Guess the next digit." in out) == (0, True)
    code, out, _ = command("train", "toy", "--help")
    assert (code, "DIGITS" in out, "--window" in out, "--hidden-size" in out) == (0, True, True, True)
    code, out, _ = command("evaluate", "--help")
    assert (code, "A guesser of digits predicts" in " ".join(out.split())) == (0, True)
    code, out, _ = command("tasks")
    assert "recurra guess, evaluate, diagnose, info" in out


def test_it_has_a_row_in_the_generated_table():
    assert "| [toy](#toy) | Files of digits. | nats per digit | `guess`, `evaluate`, `diagnose`, `info` |" in page()


def test_it_trains_and_can_be_used(command, digits, model, tmp_path):
    code, _, err = command("train", "toy", digits, "--out", tmp_path / "m", *flags(**RUN))
    assert code == 0, err
    assert "training on 225 digits" in err
    assert command("guess", model, "0123")[1] == "4\n"
    assert command("evaluate", model, digits)[1].startswith("loss 0.")
    assert json.loads(command("evaluate", model, digits, "--json")[1])["loss"] < 1
    code, out, _ = command("info", model)
    assert (code, "toy" in out, "hidden size" in out) == (0, True, True)
    code, out, err = command("diagnose", model, "--steps", 40, "--json")
    assert code == 0, err
    assert json.loads(out)["layers"]


def test_its_card_and_its_manifest(model):
    card = (model / "README.md").read_text()
    assert "A guesser of digits with" in card
    assert "Losses are in nats per digit" in card
    assert f"recurra guess {model.name} 123" in card
    assert "digits.json" in read_manifest(model)


def test_an_interrupted_run_is_resumed_to_the_same_bits(command, digits, tmp_path):
    recurra.train("toy", digits, out=tmp_path / "whole", **RUN)
    with pytest.raises(Interrupted, match="recurra train toy"):
        recurra.train("toy", digits, out=tmp_path / "cut", progress=InterruptedAt(12), **RUN)
    code, _, err = command("train", "toy", "--out", tmp_path / "cut", "--resume")
    assert code == 0, err
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_a_recipe_repeats_a_run(command, digits, tmp_path):
    recurra.train("toy", digits, out=tmp_path / "one", **RUN)
    recipe = tmp_path / "one" / "recipe.toml"
    code, _, err = command("train", "toy", "--out", tmp_path / "two", "--recipe", recipe)
    assert code == 0, err
    assert weights(tmp_path / "one") == weights(tmp_path / "two")


def test_several_seeds(command, digits, tmp_path):
    code, _, err = command("train", "toy", digits, "--out", tmp_path / "m", "--seeds", 2, *flags(**RUN))
    assert code == 0, err
    assert "valid loss" in err
    assert set(json.loads((tmp_path / "m" / "seeds.json").read_text())["mean"]) == {"valid_loss"}
    assert command("info", tmp_path / "m")[0] == 0


def test_it_starts_from_a_trained_model(digits, model, tmp_path):
    start = {"init_from": model, "steps": 1, "learning_rate": 1e-9}
    again = recurra.train("toy", digits, out=tmp_path / "m", **start)
    assert again.options == recurra.load(model).options
    with pytest.raises(InputError, match="num_layers=2: this comes with the model"):
        recurra.train("toy", digits, out=tmp_path / "n", **start, num_layers=2)


def test_a_model_of_another_task_replaces_all_its_files(command, digits, text, tmp_path):
    recurra.train("toy", digits, out=tmp_path / "m", **RUN)
    recurra.train("lm", text, out=tmp_path / "m", overwrite=True, steps=1, hidden_size=4, embedding_size=4)
    assert not (tmp_path / "m" / "digits.json").exists()
    assert (tmp_path / "m" / "unit.json").exists()


def test_a_run_that_ended_early_is_in_nobodys_way(digits, tmp_path, monkeypatch):
    def fails(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(toy_task, "reopen", fails)
        with pytest.raises(KeyboardInterrupt):
            recurra.train("toy", digits, out=tmp_path / "m", **RUN)
    assert not (tmp_path / "m").exists()
    (tmp_path / "m" / "training").mkdir(parents=True)
    (tmp_path / "m" / "training" / ".recurra").touch()
    (tmp_path / "m" / "training" / "digits.pt").touch()
    assert recurra.train("toy", digits, out=tmp_path / "m", **RUN)


def test_each_command_names_the_tasks_that_have_it(command, model, trained, digits, text, tmp_path):
    assert [task.name for task in tasks_with(Generates)] == ["lm"]
    assert [task.name for task in tasks_with(Probes)] == ["lm", "tagger", "transcriber", "toy"]
    for arguments, message in (
        (["generate", model], "holds a model for 'toy', which does not generate: expected a model for 'lm'"),
        (["units", model, text, "--out", tmp_path / "u.html"], "expected a model for 'lm' (a language model)"),
        (["guess", trained, "12"], "does not guess digits: expected a model for 'toy' (a guesser of digits)"),
        (["evaluate", model, digits, "--beam", 3], "--beam is for a translator or a transcriber, but"),
    ):
        code, _, err = command(*arguments)
        assert (code, message in err) == (2, True), err
