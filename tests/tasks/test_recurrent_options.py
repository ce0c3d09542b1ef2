"""Each option of a recurrent stack acts in each task: trained, resumed, saved, loaded, gone on from, shown."""

import dataclasses
import json
import os
import re
import shutil
import signal
import tomllib

import featured
import pytest
import reversing
import tagging
import toys
from cli_runner import run_command

import recurra
from recurra.errors import InputError
from recurra.tasks import TASKS
from recurra.tasks.fields import field_names, option_fields, read_fields, to_plain
from recurra.tasks.recurrent_options import FREE, RecurrentOptions
from recurra.training import Interrupted, Silent

# For each option a value that is no task's default, with what it needs.
CHANGES = {
    "cell": {"cell": "gru"},
    "activation": {"activation": "relu"},
    "cell_options": {"cell": "slstm", "cell_options": ["forget=exp"]},
    "hidden_size": {"hidden_size": 10},
    "num_layers": {"num_layers": 3},
    "dropout": {"dropout": 0.6},
    "recurrent_dropout": {"recurrent_dropout": 0.3},
    "weight_drop": {"weight_drop": 0.3},
    "zoneout": {"zoneout": 0.3},
    "layer_norm": {"layer_norm": True},
    "residual": {"residual": True},
    "learn_initial_state": {"learn_initial_state": True},
    "recurrent_init": {"recurrent_init": "orthogonal"},
    "init_variance": {"recurrent_init": "normal", "init_variance": 2.0},
    "input_init": {"input_init": "xavier"},
    "forget_bias": {"forget_bias": 1.0},
    "chrono": {"chrono": 6},
    "engine": {"engine": "native"},
}
# The opposite of each task's default; a language model reads in one direction only.
SWITCHES = {
    "lm": {"locked_dropout": {"locked_dropout": True}},
    "tagger": {"locked_dropout": {"locked_dropout": False}, "bidirectional": {"bidirectional": False}},
    "translator": {"locked_dropout": {"locked_dropout": False}, "bidirectional": {"bidirectional": False}},
    "forecaster": {"locked_dropout": {"locked_dropout": True}},
    "transcriber": {"locked_dropout": {"locked_dropout": False}, "bidirectional": {"bidirectional": True}},
}
CASES = [(task, name) for task in TASKS for name in [*CHANGES, *SWITCHES[task]]]
# The options that bundles of each task have had from the start; older ones lack the others.
FIRST = {"cell", "activation", "cell_options", "hidden_size", "num_layers", "dropout", "engine"}
OLDER = {
    "lm": {field.name for field in dataclasses.fields(RecurrentOptions)} - {"bidirectional"},
    "tagger": FIRST | {"bidirectional"},
    "translator": FIRST | {"recurrent_dropout"},
    "forecaster": {field.name for field in dataclasses.fields(RecurrentOptions)} - {"bidirectional"},
    "transcriber": {field.name for field in dataclasses.fields(RecurrentOptions)} - {"bidirectional"},
}
# Series that are evaluated follow those of training.
EVALUATED = {"forecaster": ("later", "crps"), "transcriber": ("transcriber", "cer")}
SIZES = {
    "lm": {**toys.TINY, "engine": "unroll"},
    "tagger": tagging.TINY,
    "translator": {**reversing.TINY, "input_feeding": True, "batch_tokens": 60},
    "forecaster": {"horizon": 3, "hidden_size": 8, "head_size": 8, "batch_windows": 4},
    "transcriber": {"hidden_size": 8, "conv_channels": 8, "batch_seconds": 1.0},
}
FEW = {"num_layers": 2, "dropout": 0.1, "steps": 4, "valid_every": 2, "checkpoint_every": 1, "seed": 1}


class Stopping(Silent):
    """A display that interrupts the run after its second update."""

    def advance(self, step):
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="module", autouse=True)
def machine():
    """The rate of the machine is measured in each run; here it is not looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recurra.training.machine.sgemm_rate", lambda: 1.0)
        yield


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "lm.txt").write_text(toys.sentences(70))
    (folder / "tagger.txt").write_text(tagging.columns(40))
    (folder / "translator.tsv").write_text(reversing.pairs(60))
    for name, steps in (("forecaster", range(60)), ("later", range(60, 70))):
        rows = "".join(f"{step},{step % 5 + step / 50}\n" for step in steps)
        (folder / f"{name}.csv").write_text("ds,y\n" + rows)
    featured.manifest(folder / "transcriber.csv")
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def plain(files, tmp_path_factory):
    """For each task the folder of a model with its own defaults, trained for a few steps."""
    folder = tmp_path_factory.mktemp("plain")
    for task in TASKS:
        train(task, files, folder / task)
    return folder


def train(task, files, out, **options):
    return recurra.train(task, files[task], out=out, **{**SIZES[task], **FEW, **options})


def score(model, task, files):
    """The loss of a model, or what a task reports in its place."""
    file, name = EVALUATED.get(task, (task, "loss"))
    return model.evaluate(files[file])[name]


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def config(folder):
    return json.loads((folder / "config.json").read_text())


def test_every_option_is_tried():
    names = {field.name for field in dataclasses.fields(RecurrentOptions)}
    assert names == {*CHANGES, "locked_dropout", "bidirectional"}
    assert len(CASES) == 5 * len(CHANGES) + 8
    for task in TASKS.values():
        assert names <= set(field_names(task.implementation.options["network"]))
        assert names - task.implementation.determined == FREE


@pytest.mark.parametrize(("task", "name"), CASES)
def test_an_option_acts_and_is_kept(task, name, files, plain, tmp_path, capsys):
    chosen = {**CHANGES, **SWITCHES[task]}[name]
    whole, cut, later = tmp_path / "whole", tmp_path / "cut", tmp_path / "later"
    model = train(task, files, whole, **chosen)
    values = {key: to_plain(model.options)[key] for key in chosen}
    assert values == chosen
    if name != "engine":
        assert weights(whole) != weights(plain / task)
    assert {key: config(whole)["model"]["network"][key] for key in chosen} == chosen
    assert {key: tomllib.loads((whole / "recipe.toml").read_text())["network"][key] for key in chosen} == chosen

    with pytest.raises(Interrupted):
        train(task, files, cut, progress=Stopping(), **chosen)
    recurra.train(task, out=cut, resume=True)
    assert weights(cut) == weights(whole)

    loaded = recurra.load(whole)
    assert loaded.options == model.options
    assert score(loaded, task, files) == pytest.approx(score(model, task, files))
    assert run_command(capsys, "info", whole)[1].count(name.replace("_", " ") + " ") >= 1

    on = recurra.train(task, files[task], out=later, init_from=whole, steps=1, weight_drop=0.2)
    assert to_plain(on.options) == {**to_plain(model.options), "weight_drop": 0.2}
    if name not in FREE:
        with pytest.raises(InputError, match="this comes with the model"):
            recurra.train(task, files[task], out=tmp_path / "refused", init_from=whole, **chosen)


@pytest.mark.parametrize("task", TASKS)
def test_a_bundle_of_before_these_options_is_as_it_was(task, files, plain, tmp_path):
    older = shutil.copytree(plain / task, tmp_path / "older")
    content = config(older)
    names = {field.name for field in dataclasses.fields(RecurrentOptions)}
    gone = [content["model"]["network"].pop(name) for name in names - OLDER[task]]
    assert len(gone) >= 1
    (older / "config.json").write_text(json.dumps(content))
    loaded, model = recurra.load(older), recurra.load(plain / task)
    assert loaded.options == model.options
    assert score(loaded, task, files) == score(model, task, files)


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("forecaster", {"bidirectional": True}, "bidirectional=True: a forecaster reads forwards only"),
        ("lm", {"bidirectional": True}, "bidirectional=True: a language model reads forwards only"),
        ("translator", {"hidden_size": 7}, "hidden_size=7: expected an even number, half for each direction"),
        ("translator", {"residual": True, "input_feeding": False}, "residual=True: with attention and input_feeding="),
        *((task, {"recurrent_init": "odd"}, "recurrent_init='odd' is not an initialisation") for task in TASKS),
        *((task, {"init_variance": 1.0}, "recurrent_init='torch' with init_variance=1.0") for task in TASKS),
    ],
)
def test_what_a_task_has_no_use_for_is_refused_by_its_options(task, options, message):
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_fields(TASKS[task].implementation.options["network"], options, where="here")
    assert len(str(caught.value).splitlines()) == 1


def test_what_is_refused_of_one_translator_may_be_chosen_for_another():
    kind = TASKS["translator"].implementation.options["network"]
    odd = read_fields(kind, {"hidden_size": 7, "bidirectional": False}, where="here")
    assert odd.recurrent.hidden_size == 7
    for options in ({"input_feeding": True}, {"input_feeding": False, "attention": "none"}):
        assert read_fields(kind, {**options, "residual": True, "num_layers": 2}, where="here").recurrent.residual


def test_tasks_have_other_texts_of_help_only_for_options_that_there_are():
    for task in TASKS.values():
        kind = task.implementation.options["network"]
        (field,) = (field for field in dataclasses.fields(kind) if field.name == "recurrent")
        texts = field.metadata["help"]
        assert 0 < len(texts) < 8
        assert {name: one.help for name, one in option_fields(kind).items() if one.help is not None} == texts


@pytest.mark.parametrize("task", TASKS)
def test_the_help_of_training_shows_each_option_once(task, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    shown = run_command(capsys, "train", task, "--help")[1]
    for field in dataclasses.fields(RecurrentOptions):
        rows = [line for line in shown.splitlines() if re.match(rf"\W*--{field.name.replace('_', '-')}\b(?!-)", line)]
        assert len(rows) == 1, field.name
    words = " ".join(shown.split())
    assert words.count("The engine that runs the cell through time: auto, cpu, native or unroll.") == 1
    assert words.count("Share of hidden units that keep their previous state in training.") == 1
    assert words.count("half of them") == (task == "translator")
