"""Trained forecasters: laws of their forecasts, and what is refused."""

import dataclasses
import datetime
import json

import numpy as np
import polars as pl
import pytest
import torch
from small_forecasters import TINY, split, weeks

import recurra
from recurra.errors import InputError
from recurra.tasks.forecaster.forecasting import outlooks
from recurra.tasks.forecaster.windows import Windows

COLUMNS = ["unique_id", "ds", "mean", "median", "lo-95", "lo-80", "lo-50", "hi-50", "hi-80", "hi-95"]


@pytest.fixture(params=["direct", "autoregressive"])
def model(request):
    return recurra.load(request.getfixturevalue(request.param))


def test_a_forecast_continues_each_series(model):
    frame = model.forecast()
    assert frame.columns == COLUMNS
    assert frame["unique_id"].unique(maintain_order=True).to_list() == ["s0", "s1", "s2", "s3"]
    first = frame.filter(pl.col("unique_id") == "s2")
    assert first["ds"].to_list()[0].isoformat() == "2024-04-29"  # 119 days after the first of January
    assert len(first) == 7
    values = first.select([*COLUMNS[4:7], "median", *COLUMNS[7:]]).to_numpy()
    assert (np.diff(values, axis=1) >= 0).all()


def test_scores_are_better_than_those_of_simple_forecasts(model, files):
    scores = model.evaluate(files / "test.csv")
    assert scores["forecasts"] == 12
    for name in ("naive", "seasonal_naive", "drift"):
        assert scores["mase"] < scores[name]["mase"]
    assert 0.4 < scores["coverage_80"] <= 1
    assert len(scores["by_step"]["mase"]) == 7


def test_nothing_after_an_origin_changes_its_forecast(model):
    train, test = split(weeks(), 21)
    changed = test.with_columns(y=pl.col("y") * 100 + 7)
    results = []
    for frame in (test, changed):
        series = model.series_of([recurra.data.series.tables.frame_table(pl.concat([train, frame]))])
        history = model.core.read(series)
        origins = [np.array([60, 118])] * 4
        blocks = list(outlooks(model.core, history, origins, horizon=7))
        results.append(np.concatenate([block.quantiles for block in blocks]))
    assert np.array_equal(*results)


def test_a_forecast_of_the_training_frame_is_that_of_the_memory(model, files):
    """The whole series, read again, from the same context."""
    again = model.forecast(pl.read_csv(files / "train.csv", try_parse_dates=True))
    kept = model.forecast()
    tolerance = 1e-4 if model.core.options.head == "direct" else 1e-3
    for column in COLUMNS[2:]:
        assert np.allclose(again[column], kept[column], rtol=tolerance)


def test_new_values_continue_the_memory(model, files):
    test = pl.read_csv(files / "test.csv", try_parse_dates=True)
    whole = pl.concat([pl.read_csv(files / "train.csv", try_parse_dates=True), test])
    continued, read = model.forecast(test), model.forecast(whole)
    assert continued["ds"].to_list() == read["ds"].to_list()
    assert np.allclose(continued["median"], read["median"], rtol=2e-2)


def test_the_folder_is_the_model(direct, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in (
        "model.safetensors",
        "config.json",
        "series.json",
        "calibration.json",
        "metrics.json",
        "manifest.json",
    ):
        if (direct / name).exists():
            (copy / name).write_bytes((direct / name).read_bytes())
    assert recurra.load(copy).forecast().equals(recurra.load(direct).forecast())


def test_a_longer_horizon_needs_an_autoregressive_network(direct, autoregressive):
    with pytest.raises(InputError, match="horizon=8: the model forecasts 7 steps at once. Train it with a longer"):
        recurra.load(direct).forecast(horizon=8)
    assert len(recurra.load(autoregressive).forecast(horizon=20)) == 80
    assert len(recurra.load(direct).forecast(horizon=3)) == 12


def test_paths_are_reproducible_and_of_an_autoregressive_network(direct, autoregressive):
    model = recurra.load(autoregressive)
    frame = model.forecast(paths=3, seed=5)
    assert frame.columns == [*COLUMNS, "path-1", "path-2", "path-3"]
    assert frame.equals(model.forecast(paths=3, seed=5))
    assert not frame.equals(model.forecast(paths=3, seed=6))
    with pytest.raises(InputError, match="paths=3: only an autoregressive network draws paths"):
        recurra.load(direct).forecast(paths=3)


def test_a_test_file_that_overlaps_training_is_refused(model, files):
    with pytest.raises(InputError, match="series 's0': its first 119 steps are in the training data"):
        model.evaluate(files / "train.csv")


def test_unknown_series_are_forecast_and_named(model, tmp_path):
    later = weeks(steps=40, seed=9).with_columns(unique_id=pl.lit("new") + pl.col("unique_id"))
    later.write_csv(tmp_path / "new.csv")
    scores = model.evaluate(tmp_path / "new.csv")
    assert scores["unknown_series"] == ["news0", "news1", "news2", "news3"]
    assert np.isfinite(scores["mase"])
    assert len(model.forecast(later)) == 28


def test_a_short_series_is_forecast(model):
    days = [datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)]
    short = pl.DataFrame({"unique_id": ["x", "x"], "ds": days, "y": [1.0, 2.0]})
    assert np.isfinite(model.forecast(short).select(COLUMNS[2:]).to_numpy()).all()


@pytest.mark.parametrize("distribution", ["normal", "negative-binomial", "quantiles", "student"])
@pytest.mark.parametrize("head", ["direct", "autoregressive"])
def test_every_distribution_trains_with_every_head(distribution, head, tmp_path):
    frame = weeks(2, 60).with_columns(y=pl.col("y").round(0))
    frame.write_csv(tmp_path / "counts.csv")
    options = {**TINY, "steps": 5, "distribution": distribution, "head": head}
    model = recurra.train("forecaster", tmp_path / "counts.csv", out=tmp_path / "m", **options)
    assert np.isfinite(model.forecast().select(COLUMNS[2:]).to_numpy()).all()


def test_odd_series_train(tmp_path):
    """Constant, with gaps, very short, and tiny and huge values."""
    rows = ["unique_id,ds,y"]
    rows += [f"constant,{t},5" for t in range(40)] + [f"zero,{t},0" for t in range(40)]
    rows += [f"gaps,{t},{t % 7}" for t in range(60) if t % 5] + [f"short,{t},{t}" for t in range(4)]
    rows += [f"huge,{t},{1e12 + 1e9 * (t % 7)}" for t in range(60)] + [f"tiny,{t},{1e-9 * (t % 7)}" for t in range(60)]
    (tmp_path / "odd.csv").write_text("\n".join(rows))
    model = recurra.train("forecaster", tmp_path / "odd.csv", out=tmp_path / "m", **{**TINY, "steps": 20})
    frame = model.forecast()
    assert np.isfinite(frame.select(COLUMNS[2:]).to_numpy()).all()
    constant = frame.filter(pl.col("unique_id") == "constant")["median"]
    assert np.allclose(constant, 5, atol=0.5)


@pytest.mark.parametrize("transform", ["log", "box-cox"])
def test_transforms_are_undone(transform, tmp_path):
    frame = weeks(2, 100).with_columns(y=(pl.col("y") / 50).exp())
    train, test = split(frame, 7)
    train.write_csv(tmp_path / "train.csv")
    test.write_csv(tmp_path / "test.csv")
    model = recurra.train("forecaster", tmp_path / "train.csv", out=tmp_path / "m", transform=transform, **TINY)
    scores = recurra.load(tmp_path / "m").evaluate(tmp_path / "test.csv")
    assert scores["smape"] < 20
    assert model.core.memory.origins[0].powers[0] is not None


def test_a_transform_needs_positive_values(tmp_path):
    weeks(1, 60).with_columns(y=pl.col("y") - 50).write_csv(tmp_path / "train.csv")
    with pytest.raises(InputError, match="series 's0' has the value -.* the transform needs values above 0"):
        recurra.train("forecaster", tmp_path / "train.csv", out=tmp_path / "m", transform="log", **TINY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distribution": "negative-binomial"}, "is no count: distribution=negative-binomial needs whole numbers"),
        ({"distribution": "gauss"}, "there is no distribution 'gauss'"),
        ({"head": "recursive"}, "there is no head 'recursive'"),
        ({"transform": "sqrt"}, "there is no transform 'sqrt'"),
        ({"bidirectional": True}, "a forecaster reads forwards only"),
        ({"horizon": 0}, "horizon=0: expected 1 or more"),
        ({"season": [1, 2, 3]}, "expected one or two numbers"),
        ({"test_steps": 118}, "119 values, of which test_steps=118 are left out"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options, message, files, tmp_path):
    with pytest.raises(InputError, match=message):
        recurra.train("forecaster", files / "train.csv", out=tmp_path / "m", **{**TINY, **options})


def test_a_damaged_folder_is_named(direct, tmp_path):
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).write_bytes((direct / name).read_bytes())
    with pytest.raises(InputError, match="series.json"):
        recurra.load(tmp_path)
    content = json.loads((direct / "series.json").read_text())
    del content["series"][0]["levels"]
    (tmp_path / "series.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="series.json: is damaged"):
        recurra.load(tmp_path)


def windows_of(model, history, ends, seed=1):
    return Windows(model.core.inputs, history, ends, context=28, origins=3, rows=4, seed=seed)


def test_windows_follow_from_the_position_alone(direct):
    """It is all that a checkpoint has of them."""
    model = recurra.load(direct)
    history = model.core.read(model.core.memory.series, model.core.memory.origins)
    first, second = (windows_of(model, history, history.series.lengths) for _ in range(2))
    batches = [first.update()[0] for _ in range(3)]
    assert not batches[1].targets.equal(batches[2].targets)
    second.load_state_dict({**first.state_dict(), "position": 2})
    (again,) = second.update()
    assert again.targets.equal(batches[2].targets)
    assert again.steps.values.equal(batches[2].steps.values)
    other = windows_of(model, history, history.series.lengths, seed=2).update()[0]
    assert not other.targets.equal(batches[0].targets)


def test_training_reads_nothing_of_the_held_out_part(direct):
    model = recurra.load(direct)
    memory = model.core.memory
    values = memory.series.values.copy()
    ends = memory.series.lengths - 14
    for number in range(len(memory.series)):
        values[memory.series.starts[number] + ends[number] : memory.series.starts[number + 1]] = 1e6
    batches = [
        windows_of(model, model.core.read(series, memory.origins), ends)
        for series in (memory.series, dataclasses.replace(memory.series, values=values))
    ]
    for _ in range(20):
        (one,), (other,) = (windows.update() for windows in batches)
        assert torch.equal(one.targets.nan_to_num(-9), other.targets.nan_to_num(-9))
        assert one.steps.values.equal(other.steps.values)
        assert one.ahead.candidates.equal(other.ahead.candidates)
