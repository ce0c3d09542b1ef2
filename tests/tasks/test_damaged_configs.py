"""Whatever is edited into a config.json or lost from it, a model loads or one line says why not."""

import copy
import json
import shutil

import pytest
import tagging

import recurra
from recurra.errors import InputError

ODD = (None, -1, 0, 10**12, 1.5, "x", [], {}, True, [["a"]])


@pytest.fixture(scope="module")
def tagger(trained, tmp_path_factory):
    """A tagger beside a language model, untrained but for an update."""
    folder = tmp_path_factory.mktemp("tagger")
    (folder / "train.conllu").write_text(tagging.conllu(40))
    options = {**tagging.TINY, "language_model": trained, "min_count": 1, "steps": 1}
    recurra.train("tagger", folder / "train.conllu", out=folder / "m", **options)
    return folder / "m"


def places(part, above=()):
    """Where a value stands in a config, as keys and indices."""
    inside = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in inside:
        yield (*above, key)
        yield from places(value, (*above, key))


def damaged(config):
    """Copies of a config with one value lost or replaced, and what was done."""
    for *above, last in places(config):
        for odd in ("lost", *ODD):
            changed = copy.deepcopy(config)
            holder = changed
            for key in above:
                holder = holder[key]
            if odd == "lost":
                del holder[last]
            else:
                holder[last] = odd
            yield changed, f"{'.'.join(map(str, (*above, last)))}: {odd!r}"


@pytest.mark.parametrize("model", ["trained", "reverser", "tagger"])
def test_a_damaged_config_loads_or_is_one_line(request, tmp_path, model):
    folder = shutil.copytree(request.getfixturevalue(model), tmp_path / "m", ignore=shutil.ignore_patterns("training"))
    said = {}
    for config, change in damaged(json.loads((folder / "config.json").read_text())):
        (folder / "config.json").write_text(json.dumps(config))
        print(change)  # shown where an error of another kind fails the test
        try:
            recurra.load(folder)
        except InputError as error:
            said[change] = str(error)
    assert not {change for change, line in said.items() if "\n" in line}
    assert len(said) > 100
    assert {change.split(":")[0].split(".")[0] for change in said} >= {"format", "task", "model"}
