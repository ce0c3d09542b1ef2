"""The tutorial runs: its modules, its Python, its commands and its diffs, as they stand on the page."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recurra.cli.app import main

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "docs" / "adding_a_cell.md").read_text(), re.MULTILINE | re.DOTALL)


def blocks(language):
    return [text for kind, text in BLOCKS if kind == language]


MODULES = {text[2:].split()[0]: text for text in blocks("python") if text.startswith("# ")}
SCRIPTS = [text for text in blocks("python") if not text.startswith("# ")]
COMMANDS = [shlex.split(line)[1:] for line in blocks("sh")[0].splitlines()]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the modules of the page and a text, as the working directory."""
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "plays.txt").write_text("ROMEO: But soft, what light through yonder window breaks?\n" * 60)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name.removesuffix(".py"), None)


def test_the_page_has_what_is_run_here():
    assert set(MODULES) == {"my_cells.py", "more_cells.py"}
    assert len(SCRIPTS) == 2
    assert [command[0] for command in COMMANDS] == ["train", "generate", "cells"]
    assert len(blocks("diff")) == 2


def test_a_cell_is_five_to_ten_lines():
    lines = [line for line in MODULES["my_cells.py"].splitlines() if line.strip() and not line.startswith("#")]
    assert 5 <= len(lines) <= 10


@pytest.mark.parametrize("script", SCRIPTS, ids=["own", "more"])
def test_the_python_runs(script, folder):
    found = {}
    exec(script, found)
    assert all(parameter.grad is not None for parameter in found["layer"].parameters()) or "cell" in found


def test_the_commands_run(folder, capsys):
    for command in COMMANDS:
        main(command)
        told = capsys.readouterr().out
    assert (folder / "plays" / "model.safetensors").exists()
    assert told.startswith("my_cells:Janet")
    assert "2HI + 2H² + 4H" in told


def test_one_file_and_one_line_are_picked_up_by_the_laws(tmp_path):
    leave = shutil.ignore_patterns("__pycache__")
    for part in ("recurra", "tests/engine"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=leave)
    for path in [ROOT / "pyproject.toml", *(ROOT / "tests").glob("*.py")]:
        shutil.copy(path, tmp_path / path.relative_to(ROOT))
    package, oracle = blocks("diff")

    apply(package, tmp_path)
    assert package.count("\n+    ") > 1
    assert changed_lines(package, "table.py") == ['+    "janet": "Janet",']
    told = laws(tmp_path, "has_an_oracle")
    assert "1 failed" in told, told

    apply(oracle, tmp_path)
    told = laws(tmp_path, "has_an_oracle or (janet and (numpy or chunks or padded or gradcheck))")
    assert "failed" not in told, told
    assert int(re.search(r"(\d+) passed", told)[1]) > 10


def changed_lines(diff, name):
    hunk = diff.split(f"+++ b/recurra/cells/{name}\n")[1]
    return [line for line in hunk.splitlines() if line.startswith(("+", "-"))]


def apply(diff, folder):
    subprocess.run(["git", "apply", "-"], input=diff, text=True, cwd=folder, check=True)


def laws(folder, chosen):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/engine", "-k", chosen]
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False).stdout
