"""A model as a folder: whole or refused in one line, and never code."""

import json
import shutil

import pytest
import torch
import toys

import recurra
from recurra import bundle
from recurra.cells import CELLS, Cell, Gates, State
from recurra.errors import InputError, RecurraError


class Sum(Cell):
    """A user's cell."""

    gates = ("h",)

    def step(self, x, u, s, p):
        return State(h=torch.tanh(x.h + u.h + 0.5 * s.h)), Gates()


@pytest.fixture
def copied(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "copy")


@pytest.mark.parametrize("cell", list(CELLS))
def test_saved_then_loaded_is_the_same_model(cell, text, tmp_path):
    model = recurra.train("lm", text, out=tmp_path / "m", cell=cell, num_layers=2, steps=5, **toys.TINY)
    again = recurra.load(tmp_path / "m")
    for (name, one), (other_name, other) in zip(
        model.network.state_dict().items(), again.network.state_dict().items(), strict=True
    ):
        assert name == other_name
        assert torch.equal(one, other)
    assert again.generate("the", length=30, seed=0) == model.generate("the", length=30, seed=0)


def test_the_folder_holds_what_it_should(trained):
    names = {path.name for path in trained.iterdir()}
    wanted = (
        "README.md config.json log.jsonl manifest.json metrics.json model.safetensors recipe.toml training unit.json"
    )
    assert names == set(wanted.split())
    card = (trained / "README.md").read_text()
    assert "language model" in card
    assert "valid bits per char" in card


def test_a_folder_without_its_training_part_is_a_model_still(copied):
    shutil.rmtree(copied / "training")
    (copied / "log.jsonl").unlink()
    (copied / "recipe.toml").unlink()
    assert recurra.load(copied).generate("the", length=5, seed=0)


@pytest.mark.parametrize("size", [0, 4, 100, -1])
def test_weights_cut_short_are_refused(copied, size):
    path = copied / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match="model.safetensors: damaged or cut short"):
        recurra.load(copied)


def test_one_bit_changed_in_the_weights_is_noticed(copied):
    path = copied / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="its tensors do not match their checksum"):
        recurra.load(copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("task"), r"its fields are \['format', 'model'\]"),
        (lambda c: c.update(task="ml"), "there is no task 'ml'. Did you mean 'lm'|Known: .*lm"),
        (lambda c: c.update(format=99), "format is 99, this version of recurra reads 1"),
        (lambda c: c["model"].update(vocabulary=5), "vocabulary is 5, but unit.json has"),
        (lambda c: c["model"]["network"].update(hidden_size=25), "but config.json describes"),
        (lambda c: c["model"]["network"].update(hidden_size="24"), "hidden_size='24', expected a whole number"),
        (lambda c: c["model"]["network"].update(hiden_size=24), "no option 'hiden_size'. Did you mean 'hidden_size'"),
        (lambda c: c["model"]["network"].update(cell="lsmt"), "no cell 'lsmt'"),
        (lambda c: c["model"]["network"].update(cell="os:system"), "a user-defined cell, os:system"),
    ],
)
def test_an_edited_config_is_refused_and_runs_nothing(copied, change, message):
    config = json.loads((copied / "config.json").read_text())
    change(config)
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=message) as caught:
        recurra.load(copied)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "unit.json"])
def test_a_part_that_is_lost_is_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(InputError, match=f"{name}: no such file"):
        recurra.load(copied)


@pytest.mark.parametrize("content", ["", "[1]", "{"])
def test_a_config_that_is_no_json_object_is_refused(copied, content):
    (copied / "config.json").write_text(content)
    with pytest.raises(InputError, match="config.json: (cannot be read as JSON|holds a list)"):
        recurra.load(copied)


def test_a_model_with_a_users_cell_loads_when_the_cell_is_given(text, tmp_path, monkeypatch):
    name = f"{__name__}:Sum"
    recurra.train("lm", text, out=tmp_path / "m", cell=name, steps=3, **toys.TINY)
    with pytest.raises(InputError, match="Loading runs no code by itself: pass --cell"):
        recurra.load(tmp_path / "m")
    by_class, by_name = recurra.load(tmp_path / "m", cell=Sum), recurra.load(tmp_path / "m", cell=name)
    assert by_class.generate("a", length=9, seed=0) == by_name.generate("a", length=9, seed=0)


def test_a_full_disk_while_saving_leaves_the_old_weights(trained, copied, monkeypatch):
    model, before = recurra.load(trained), (copied / "model.safetensors").read_bytes()
    with torch.no_grad():
        model.network.embedding.weight.add_(1)

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(RecurraError, match="cannot be saved .No space left on device."):
        bundle.save(copied, model, metrics={}, summary="")
    monkeypatch.undo()
    assert (copied / "model.safetensors").read_bytes() == before
    assert not list(copied.glob("*.part"))


def test_what_is_not_a_model_is_said_to_be_none(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        recurra.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is not a model"):
        recurra.load(tmp_path)
