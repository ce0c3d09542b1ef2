"""docs/translating.md: its commands and its Python run, in the order of the page, and its names are those there are."""

import io
import json
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from cli_runner import run_command

from recurra.decoding import BeamOptions
from recurra.tasks.translator.options import BatchOptions, NetworkOptions, PairOptions

PAGE = (Path(__file__).parents[2] / "docs" / "translating.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
SCRIPTS = [text for kind, text in BLOCKS if kind == "python"]
TINY = "--hidden-size 8 --embedding-size 8 --vocabulary-size 280 --steps 4 --engine unroll --log-every 1000"
WORDS = {"ein": "a", "Hund": "dog", "Mann": "man", "Kind": "child", "läuft": "runs", "sieht": "sees", "den": "the"}
GERMAN = ["Ein Hund läuft.", "Ein Mann sieht den Hund.", "Den Mann sieht ein Kind.", "Ein Kind läuft."]
ENGLISH = ["A dog is running.", "A man sees the dog.", "A child sees the man.", "A child is running."]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The files that the page names, as the working directory."""
    for part, times in (("train", 8), ("dev", 1), ("test", 1), ("new", 1)):
        (tmp_path / f"{part}.de").write_text("\n".join(GERMAN * times) + "\n", encoding="utf-8")
        if part != "new":
            (tmp_path / f"{part}.en").write_text("\n".join(ENGLISH * times) + "\n", encoding="utf-8")
    table = "".join(f"{source}\t{' '.join(target)}\n" for source, target in WORDS.items())
    for name in ("words.tsv", "dev.tsv", "test.tsv"):
        (tmp_path / name).write_text(table, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(line, capture, monkeypatch):
    """Runs a line of a shell; what it gives."""
    line, _, written = line.partition(" > ")
    given, _, command = line.rpartition(" | ")
    if given:
        text = shlex.split(given)[1] + "\n"
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    arguments = shlex.split(command)
    assert arguments[0] == "recurra", line
    if arguments[1] == "train" and "--resume" not in arguments:
        arguments += shlex.split(TINY)
    code, out, err = run_command(capture, *arguments[1:])
    assert code == 0, f"{line}: {err}"
    if written:
        Path(written).write_text(out, encoding="utf-8")
    return out


def test_the_page_runs_from_top_to_bottom(folder, capsysbinary, monkeypatch):
    ours = [line for line in COMMANDS if not line.startswith(("python ", "pip install "))]
    assert len(ours) == 11
    out = {line: run(line, capsysbinary, monkeypatch) for line in ours}
    assert (folder / "new.en").read_text(encoding="utf-8").count("\n") == 4
    assert (folder / "attention.png").read_bytes().startswith(b"\x89PNG")
    (told,) = (json.loads(text) for line, text in out.items() if "--json" in line)
    for name in re.findall(r"`(\w+)`", PAGE[PAGE.index("`--json` has") :].split("\n\n")[0].replace("zh", "")):
        assert name in told, name
    (best,) = (text for line, text in out.items() if "--nbest 3" in line)
    assert [row.split("\t")[0] for row in best.splitlines()] == ["1", "1", "1"]
    names = {}
    assert len(SCRIPTS) == 1
    exec(SCRIPTS[0], names)
    assert names["best"].log_probability < 0


def test_the_extras_that_it_installs_exist():
    (line,) = [line for line in COMMANDS if line.startswith("pip install ")]
    named = re.fullmatch(r"pip install 'recurra\[([a-z,]+)\]'", line).group(1).split(",")
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(named) <= set(project["project"]["optional-dependencies"])


def test_the_examples_that_it_names_are_there():
    named = [line.split()[1] for line in COMMANDS if line.startswith("python ")]
    assert len(named) == 2
    assert all((Path(__file__).parents[2] / name).is_file() for name in named)


def test_every_option_that_it_names_is_one(capsysbinary):
    verbs = (["train", "translator"], ["evaluate"], ["translate"])
    helps = "".join(run_command(capsysbinary, *verb, "--help")[1] for verb in verbs)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    assert len(named) > 30
    assert {name for name in named if not re.search(rf"{name}(?![\w-])", helps)} == set()


def test_its_numbers_are_the_defaults():
    pairs, batches, network, search = PairOptions(), BatchOptions(), NetworkOptions(), BeamOptions()
    assert f"more than {pairs.longest} symbols on a side" in PAGE
    assert pairs.valid_share == 1 / 20
    assert f"`--label-smoothing` is {batches.label_smoothing}, `--dropout` {network.recurrent.dropout}" in PAGE
    assert f"follows {search.beam} hypotheses" in PAGE
    assert f"`--length-penalty`, {search.length_penalty} by default" in PAGE
