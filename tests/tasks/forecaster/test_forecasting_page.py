"""docs/forecasting.md: its Python runs, in the order of the page, and its options exist."""

import re
from pathlib import Path

import polars as pl
from small_forecasters import split, weeks

from recurra.recipe import groups
from recurra.tasks import TASKS
from recurra.tasks.fields import field_names

PAGE = (Path(__file__).parents[3] / "docs" / "forecasting.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_python_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    frame = weeks().with_columns(unique_id=pl.col("unique_id").replace("s1", "shop 1"))
    train, later = split(frame, 14)
    train.write_csv("sales.csv")
    later.write_csv("later.csv")
    names = {}
    assert len(BLOCKS) == 3
    for block in BLOCKS:
        exec(block, names)
    assert "(1, 7, 13)" in capsys.readouterr().out


def test_the_options_of_the_page_exist():
    known = {name.replace("_", "-") for kind in groups(TASKS["forecaster"]).values() for name in field_names(kind)}
    known |= {name.replace("_", "-") for name in field_names(TASKS["forecaster"].implementation.evaluation)}
    known |= {"out", "plot", "paths", "json", "folds", "refit", "false-alarms"}
    options = set(re.findall(r"--([a-z][a-z-]+)", PAGE))
    assert len(options) > 25
    assert options <= known
