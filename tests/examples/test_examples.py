"""The examples run from one end to the other, on data held apart, and learn what they say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
NAMES = ("dates", "reverse")
# test_listen.py runs it.
OTHERS = ("listen",)


def test_every_example_is_run_here():
    assert tuple(sorted(path.stem for path in FOLDER.glob("*.py"))) == tuple(sorted(NAMES + OTHERS))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_example_ends_above_98_percent_on_what_training_never_had(name, tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(FOLDER / f"{name}.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    train, valid, test = (pairs(tmp_path / f"{part}.tsv") for part in ("train", "valid", "test"))
    assert len(test) == 1000
    assert not test.keys() & (train.keys() | valid.keys())
    if name == "dates":
        assert not set(test.values()) & set(train.values())
    told = re.search(r"^([\d.]+)% of 1,000 ", done.stdout, re.MULTILINE)
    assert float(told[1]) > 98


def pairs(path):
    return dict(line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
