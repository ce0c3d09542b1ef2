"""A saved model lists its files; what is in a folder is recognised as recurra's by that, and not by a task's names."""

import json
import shutil
from pathlib import Path

import pytest

import recurra
from recurra import bundle
from recurra.bundle.manifest import read_manifest, write_manifest
from recurra.bundle.names import is_abandoned, own_entries
from recurra.bundle.replacement import remove_own
from recurra.errors import InputError

OLDER = Path(__file__).parent / "older"
FOLDERS = sorted(path for path in OLDER.iterdir() if path.is_dir())
FILES = {"README.md", "config.json", "metrics.json", "model.safetensors"}


@pytest.fixture(params=FOLDERS, ids=lambda path: path.name)
def older(request, tmp_path):
    """A model of a version without manifests."""
    return shutil.copytree(request.param, tmp_path / request.param.name)


def test_there_is_an_older_model_of_each_task():
    assert [path.name for path in FOLDERS] == ["lm", "tagger", "translator"]
    assert not list(OLDER.glob("*/manifest.json"))


def test_an_older_model_loads_and_is_ours_to_the_last_file(older):
    (older / "notes.txt").write_text("somebody's")
    assert bundle.read_config(older)["task"] == older.name
    assert recurra.load(older).name == older.name
    with pytest.raises(InputError, match="holds a model or a run"):
        bundle.check_free(older, overwrite=False)
    bundle.check_free(older, overwrite=True)
    remove_own(older)
    assert [path.name for path in older.iterdir()] == ["notes.txt"]


def test_an_older_model_saved_anew_has_a_manifest(older):
    files = {path.name for path in older.iterdir()} - {"log.jsonl", "recipe.toml"}
    bundle.save(older, recurra.load(older), metrics=bundle.read_metrics(older), summary="text")
    assert set(read_manifest(older)) == files
    assert files > FILES


def test_a_model_lists_its_files(trained):
    assert set(read_manifest(trained)) == {*FILES, "unit.json"}
    assert json.loads((trained / "manifest.json").read_text())["format"] == 1


def test_files_of_a_task_that_nobody_knows_are_removed_with_the_model(tmp_path):
    write_manifest(tmp_path, ["config.json", "rules.bin"])
    write_manifest(tmp_path, ["config.json", "further.bin"])
    for name in ("config.json", "rules.bin", "further.bin", "further.bin.part", "unit.json"):
        (tmp_path / name).write_text("{}")
    # After a kill in between, the manifest still lists every file that is left.
    assert own_entries(tmp_path)[-1].name == "manifest.json"
    remove_own(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["unit.json"]


@pytest.mark.parametrize("name", ["../precious", "sub/precious", "/etc/hostname", "..", "", 3, "folder", "a\0b"])
def test_a_manifest_names_nothing_but_files_of_its_folder(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "files": [name, "ours.json"]}))
    assert read_manifest(tmp_path) == ["ours.json"]


@pytest.mark.parametrize("content", ["", "[]", '{"files": 3}', "{}"])
def test_a_damaged_manifest_counts_as_none(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    assert read_manifest(tmp_path) is None


def test_a_run_that_ended_early_is_known_by_its_mark(tmp_path):
    bundle.mark_training(tmp_path)
    (tmp_path / "training" / "whatever.bin").write_bytes(b"1")
    assert is_abandoned(tmp_path)
    for path in (tmp_path / "training").glob(".*"):
        path.unlink()
    assert not is_abandoned(tmp_path)
