"""Sizes edited into a config.json are refused before memory or time goes into them."""

import json
import shutil
import time

import pytest

import recurra
from recurra.errors import InputError


@pytest.fixture
def edited(trained, tmp_path):
    """A copy of the model with one part of its config.json changed."""

    def make(change):
        copy = shutil.copytree(trained, tmp_path / "copy")
        config = json.loads((copy / "config.json").read_text())
        change(config)
        (copy / "config.json").write_text(json.dumps(config))
        return copy

    return make


@pytest.mark.parametrize("task", [[], {}, None, 3])
def test_a_task_that_is_no_name_is_refused(edited, task):
    with pytest.raises(InputError, match="config.json: there is no task") as caught:
        recurra.load(edited(lambda config: config.update(task=task)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden_size": 2_000_000},
        {"hidden_size": 2_000_000_000_000},
        {"hidden_size": 20_000},
        {"embedding_size": 500_000_000},
        {"num_layers": 3_000_000},
        {"num_layers": 3},
    ],
)
def test_sizes_beyond_the_weights_are_refused_at_once(edited, sizes):
    folder, started = edited(lambda config: config["model"]["network"].update(sizes)), time.monotonic()
    with pytest.raises(InputError, match="but config.json describes") as caught:
        recurra.load(folder)
    assert time.monotonic() - started < 2
    assert "\n" not in str(caught.value)
