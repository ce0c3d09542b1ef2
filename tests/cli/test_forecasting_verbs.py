"""`recurra train forecaster`, `evaluate`, `forecast`, `backtest` and `anomalies`, as a person runs them."""

import csv
import io
import json

import polars as pl
import pytest
from cli_runner import check_killed_runs_end_in_the_same_bits, run_command

import recurra

TINY = ["--horizon", 7, "--hidden-size", 8, "--steps", 40, "--valid-every", 20, "--batch-windows", 8]


def weeks(steps):
    """Two series with a season of seven steps."""
    rows = [
        f"{name},{step},{10 + (step % 7) ** 2 % 11 + (step * 7919 % 13) / 13:.3f}"
        for name in ("a", "b")
        for step in range(steps)
    ]
    return "\n".join(["unique_id,ds,y", *rows]) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of series, and the folder `model` of a forecaster."""
    place = tmp_path_factory.mktemp("forecasting")
    whole = pl.read_csv(io.StringIO(weeks(140)))
    whole.write_csv(place / "whole.csv")
    whole.filter(pl.col("ds") < 119).write_csv(place / "train.csv")
    whole.filter(pl.col("ds") >= 119).write_csv(place / "test.csv")
    options = {"horizon": 7, "hidden_size": 8, "steps": 40, "valid_every": 20, "batch_windows": 8}
    recurra.train("forecaster", place / "train.csv", out=place / "model", **options)
    return place


def test_from_a_file_to_a_forecast(folder, tmp_path, capsys):
    code, _, err = run_command(capsys, "train", "forecaster", folder / "train.csv", "--out", tmp_path / "m", *TINY)
    assert code == 0, err
    assert "2 series of 119 steps, frequency 1, season 7" in err
    code, out, err = run_command(capsys, "forecast", tmp_path / "m")
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["ds"] for row in rows] == [str(day) for day in range(119, 126)] * 2
    assert float(rows[0]["lo-80"]) <= float(rows[0]["median"]) <= float(rows[0]["hi-80"])


def test_evaluation_shows_the_simple_forecasts_and_who_loses(folder, capsys):
    code, out, _ = run_command(capsys, "evaluate", folder / "model", folder / "test.csv", "--by-series")
    assert code == 0
    for line in ("network", "seasonal naive", "naive", "drift", "naive2", "Intervals:", "step"):
        assert line in out
    assert "The network" in out
    code, out, _ = run_command(capsys, "evaluate", folder / "model", folder / "test.csv", "--json", "--stride", 1)
    scores = json.loads(out)
    assert scores["forecasts"] == 30
    assert {"mae", "rmse", "smape", "mase", "owa", "wql", "crps", "coverage_80"} < scores.keys()
    assert {"mae", "rmse", "smape", "mase", "owa"} <= scores["seasonal_naive"].keys()


def test_new_values_a_file_and_a_plot(folder, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    place, plot = tmp_path / "forecast.parquet", tmp_path / "forecast.svg"
    arguments = ["--input", folder / "test.csv", "--out", place, "--plot", plot, "--horizon", 3, "--theme", "dark"]
    code, out, err = run_command(capsys, "forecast", folder / "model", *arguments)
    assert (code, out) == (0, ""), err
    assert pl.read_parquet(place)["ds"].to_list() == [140, 141, 142] * 2
    assert plot.read_text().startswith("<?xml")


def test_a_plot_shows_the_truth(folder, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    plot = tmp_path / "forecast.png"
    code, _, err = run_command(capsys, "forecast", folder / "model", "--plot", plot, "--truth", folder / "test.csv")
    assert code == 0, err
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_backtests_with_and_without_training_again(folder, capsys):
    code, out, err = run_command(capsys, "backtest", folder / "model", folder / "whole.csv", "--folds", 3)
    assert code == 0, err
    assert "last 21 steps" in out
    assert "mean" in out
    code, out, _ = run_command(
        capsys, "backtest", folder / "model", folder / "whole.csv", "--folds", 2, "--refit", "--json"
    )
    scores = json.loads(out)
    assert [fold["hidden_steps"] for fold in scores["folds"]] == [14, 7]
    assert scores["mase"] == pytest.approx(sum(fold["mase"] for fold in scores["folds"]) / 2)


def test_a_backtest_of_what_was_learned_is_refused(folder, capsys):
    code, _, err = run_command(capsys, "backtest", folder / "model", folder / "whole.csv", "--folds", 4)
    assert code == 2
    assert "the fold that starts 28 steps before the end is in the training data" in err


def test_anomalies_are_found(folder, tmp_path, capsys):
    test = pl.read_csv(folder / "test.csv")
    strange = (pl.col("unique_id") == "b") & (pl.col("ds") == 130)
    test.with_columns(y=pl.when(strange).then(500.0).otherwise("y")).write_csv(tmp_path / "strange.csv")
    arguments = ["anomalies", folder / "model", tmp_path / "strange.csv", "--false-alarms", 0.05]
    code, out, err = run_command(capsys, *arguments)
    assert code == 0, err
    rows = list(csv.DictReader(io.StringIO(out)))
    assert ("b", "130") in {(row["unique_id"], row["ds"]) for row in rows}
    assert len(rows) < 12
    assert f"{len(rows)} alarms in 42 observations" in err
    _, out, _ = run_command(capsys, *arguments, "--all")
    assert len(list(csv.DictReader(io.StringIO(out)))) == 42


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["forecast", "model", "--horizon", 8], "--horizon 8: the model forecasts 7 steps at once"),
        (["forecast", "model", "--paths", 2], "only an autoregressive network draws paths"),
        (["forecast", "model", "--plot", "f.jpg"], "expected a name that ends in .png, .svg, .pdf"),
        (["forecast", "model", "--plot", "f.png", "--theme", "blue"], "there is no theme 'blue'"),
        (["forecast", "model", "--input", "no.csv"], "no.csv: cannot be read"),
        (["evaluate", "model", "train.csv"], "its first 119 steps are in the training data"),
        (["evaluate", "model", "test.csv", "--stride", 0], "stride"),
        (["anomalies", "model", "test.csv", "--false-alarms", 2], "expected a rate between 0 and 1"),
        (["train", "forecaster", "--out", "new"], "no files of series"),
        (["train", "forecaster", "test.csv", "--out", "new", "--freq", "h"], "expected a whole number"),
        (["train", "forecaster", "test.csv", "--out", "new", "--target", "z"], "there is no column 'z'"),
    ],
)
def test_wrong_usage_is_one_line(folder, arguments, message, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    code, _, err = run_command(capsys, *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (folder / "new").exists()


@pytest.mark.slow
def test_killed_runs_end_in_the_same_bits(folder, tmp_path):
    options = [*TINY[:4], "--steps", 60, "--log-every", 1, "--checkpoint-every", 0.01, "--valid-every", 20]
    check_killed_runs_end_in_the_same_bits("forecaster", folder / "train.csv", options, tmp_path, most=10)
