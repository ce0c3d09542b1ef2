"""States that absorb observations one by one: equal to reading the series again."""

import time

import numpy as np
import polars as pl
import pytest
import torch
from small_forecasters import TINY, split, weeks

import recurra
from recurra.errors import InputError


@pytest.fixture(params=["direct", "autoregressive"])
def model(request):
    return recurra.load(request.getfixturevalue(request.param))


def series(frame, name="s1"):
    return frame.filter(pl.col("unique_id") == name)


def test_a_state_forecasts_what_the_model_does(model):
    frame, state = model.forecast(), model.state(series="s1").forecast()
    expected = series(frame)
    assert state.times.astype("M8[us]").astype("M8[D]").tolist() == expected["ds"].to_list()
    if model.core.options.head == "direct":
        assert np.allclose(state.median[0], expected["median"], rtol=1e-4)
    else:
        assert np.allclose(state.median[0], expected["median"], rtol=2e-2)  # other random numbers


@pytest.mark.parametrize("missing", [False, True])
def test_observing_is_reading_again_from_the_same_beginning(model, missing):
    """The first part is shorter than the context, so that both read from the first value on."""
    context = model.core.context
    frame = series(weeks(steps=200))
    values = frame["y"].to_numpy().copy()
    if missing:
        values[[17, 20, 21]] = np.nan
    frame = frame.with_columns(y=pl.Series(values))
    for known, count in ((10, context), (context - 1, context)):
        online = model.state(frame.head(known))
        for value in values[known:count]:
            online.observe(value)
        again = model.state(frame.head(count))
        assert online.length == again.length == count
        first, second = online.forecast(seed=3), again.forecast(seed=3)
        assert np.array_equal(first.times, second.times)
        assert np.allclose(first.quantiles, second.quantiles, rtol=1e-4, atol=1e-4)


def test_a_long_run_stays_what_reading_would_be(direct):
    """Past the end of every buffer."""
    model = recurra.load(direct)
    frame = series(weeks(steps=200))
    values = np.resize(frame["y"].to_numpy(), 6000)
    online = model.state(frame.head(20))
    for value in values[20:]:
        online.observe(float(value))
    days = np.datetime64("2024-01-01") + np.arange(6000)
    whole = pl.DataFrame({"unique_id": "s1", "ds": days, "y": values})
    core = model.core
    history = core.read(model.series_of([recurra.data.series.tables.frame_table(whole)]))
    from dataclasses import replace

    from recurra.tasks.forecaster.forecasting import outlooks

    (outlook,) = outlooks(replace(core, context=6000), history, [np.array([5999])], horizon=7)
    assert np.allclose(online.forecast().quantiles, outlook.quantiles[0], rtol=1e-3)


def test_several_channels(tmp_path):
    t = np.arange(120)
    frame = pl.DataFrame({"t": t, "a": np.sin(t * 2 * np.pi / 7) + 5, "b": np.cos(t * 2 * np.pi / 7) * 3})
    frame.write_csv(tmp_path / "train.csv")
    options = {**TINY, "together": True, "steps": 30}
    model = recurra.train("forecaster", tmp_path / "train.csv", out=tmp_path / "m", **options)
    table = model.forecast()
    assert table["channel"].unique(maintain_order=True).to_list() == ["a", "b"]
    state = model.state()
    assert np.allclose(state.forecast().median.ravel(), table["median"], rtol=1e-3, atol=1e-4)
    state.observe([5.0, 3.0])
    with pytest.raises(InputError, match="observe: 1 values, expected 2, one per channel"):
        state.observe([5.0])


def test_covariates_are_read_and_their_future_is_required(tmp_path):
    frame = weeks(2, 90).with_columns(
        promo=(pl.int_range(pl.len()).over("unique_id") % 5 == 0).cast(pl.Float64),
        shop=pl.when(pl.col("unique_id") == "s0").then(pl.lit("small")).otherwise(pl.lit("large")),
        rain=pl.col("y") * 0 + 1.5,
    )
    frame = frame.with_columns(y=pl.col("y") + 20 * pl.col("promo"))
    train, test = split(frame, 7)
    train.write_csv(tmp_path / "train.csv")
    test.write_csv(tmp_path / "test.csv")
    columns = {"known": ["promo"], "static": ["shop"], "past": ["rain"], "categorical": ["shop"]}
    model = recurra.train("forecaster", tmp_path / "train.csv", out=tmp_path / "m", **{**TINY, **columns, "steps": 150})
    model = recurra.load(tmp_path / "m")
    assert model.evaluate(tmp_path / "test.csv")["mase"] < 0.8
    cut = test.with_columns(promo=pl.when(pl.col("unique_id") == "s0").then(pl.col("promo")))
    cut.write_csv(tmp_path / "cut.csv")
    with pytest.raises(InputError, match="series 's1': the known covariate 'promo' is missing at 7 of 14 steps"):
        model.evaluate(tmp_path / "cut.csv")
    with pytest.raises(InputError, match="known covariate 'promo' has values for 0 of the 7 steps"):
        model.forecast()
    future = test.with_columns(y=pl.lit(None, dtype=pl.Float64), rain=pl.lit(None, dtype=pl.Float64))
    forecast = model.forecast(pl.concat([train, future]))
    promoted = test["promo"].to_numpy() == 1
    error = np.abs(forecast["median"].to_numpy() - test["y"].to_numpy())
    assert promoted.any()
    assert error[promoted].mean() < 15  # 20 where the covariate is not read
    with pytest.raises(InputError, match="a state has no future values"):
        model.state(train, series="s0").forecast()


def test_an_anomaly_is_surprising_and_ordinary_values_are_not(direct):
    model = recurra.load(direct)
    state = model.state(series="s1")
    expected = float(state.forecast().median[0, 0])
    ordinary, strange = state.score(expected + 0.1, false_alarms=0.1), state.score(expected + 60, false_alarms=0.1)
    assert ordinary.p_value > 0.2
    assert not ordinary.alarm
    assert strange.p_value < 0.03
    assert strange.alarm
    with pytest.raises(InputError, match="false_alarms=0.0001: the model has .* held-out values, which show rates of"):
        state.score(expected, false_alarms=0.0001)


def test_what_a_state_cannot_absorb_is_refused(direct):
    model = recurra.load(direct)
    with pytest.raises(InputError, match="there are 4 series: name one"):
        model.state()
    with pytest.raises(InputError, match="there is no series 's9'"):
        model.state(series="s9")
    with pytest.raises(InputError, match="the value is inf, expected a finite number"):
        model.state(series="s1").observe(float("inf"))


def test_an_observation_costs_the_same_however_long_the_series_is(direct):
    """Loosely: docs/forecasting.md has the figure of a quiet machine."""
    torch.set_num_threads(1)
    model = recurra.load(direct)
    frame = series(weeks(steps=200))

    def seconds(count):
        days = np.datetime64("1990-01-01") + np.arange(count)
        state = model.state(pl.DataFrame({"unique_id": "s1", "ds": days, "y": np.resize(frame["y"].to_numpy(), count)}))
        best = np.inf
        for _ in range(5):
            started = time.perf_counter()
            for _ in range(200):
                state.observe(50.0)
            best = min(best, time.perf_counter() - started)
        return best / 200

    assert seconds(20_000) < 3 * seconds(100) + 1e-5
