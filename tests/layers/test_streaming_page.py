"""docs/streaming.md: its Python and its command run, in the order of the page, and its names exist."""

import re
import shlex
from pathlib import Path

import pytest
import torch

import recurra
from recurra.cli.app import main
from recurra.engine.stream import Stream

PAGE = (Path(__file__).parents[2] / "docs" / "streaming.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def plays(tmp_path, monkeypatch):
    """A folder with the model of the page, as the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("plays.txt").write_text("ROMEO: But soft, what light through yonder window breaks?\n" * 60)
    recurra.train("lm", "plays.txt", out="plays", steps=2, hidden_size=8)


def test_the_blocks_of_the_page_run_from_top_to_bottom(plays, capsys):
    assert {language for language, _ in BLOCKS} == {"python", "sh"}
    assert len(BLOCKS) == 11
    names = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for language, text in BLOCKS:
            capsys.readouterr()
            if language == "sh":
                main(shlex.split(text)[1:])
            else:
                exec(text, names)
            if "print(small.explain())" in text:
                shown = " ".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith("# "))
                figures = re.compile(r"\d\.\d\d %")  # depend on torch's random numbers
                assert figures.sub("", capsys.readouterr().out.strip()) == figures.sub("", shown)
    assert capsys.readouterr().out.strip()  # the text of the last block


def test_every_method_of_a_stream_is_on_the_page():
    methods = {name for name in vars(Stream) if not name.startswith("_")}
    methods -= {"dtype", "compiled"}  # for code that builds on streams
    assert {name for name in methods if not re.search(rf"\b{name}\b", PAGE)} == set()
