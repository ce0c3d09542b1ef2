"""Simple forecasts against loops, and the inputs of the network against the past that they may read."""

import numpy as np
import pytest

from recurra.data.series.collection import collect
from recurra.data.series.frequency import Frequency
from recurra.tasks.forecaster.baselines import Baselines, exponential_smoothing, smoothing_available, smoothing_method
from recurra.tasks.forecaster.history import Origin, join, make_history
from recurra.tasks.forecaster.inputs import Inputs
from recurra.tasks.forecaster.scaling import Level, Smoothing, scale_of, smoothing_for
from recurra.tasks.forecaster.statistics import statistics_of
from recurra.tasks.forecaster.transform import apply, find_power, invert

SEASON, H = 4, 6
Y = np.random.default_rng(0).normal(20, 3, 50) + 4 * (np.arange(50) % SEASON)


def collection(values, first=0, name="a"):
    part = {"id": name, "first": first, "values": values[:, None]}
    empty = np.zeros((len(values), 0), dtype=np.float32)
    return collect(Frequency("step", 1), ["y"], [{**part, "past": empty, "known": empty}])


def history_of(values, power=None, smoothing=None):
    smoothing = smoothing or smoothing_for([SEASON])
    return make_history(collection(values), [Origin((power,), (Level(),), 1)], smoothing, SEASON)


@pytest.mark.parametrize("power", [None, 0.0, 0.5])
def test_simple_forecasts_are_those_of_loops(power):
    history = history_of(Y, power)
    statistics = statistics_of(Y[:40, None], 40, SEASON)
    origin = 43
    forecasts = Baselines(history, [None], season=SEASON, horizon=H).forecast(np.array([0]), np.array([origin]))
    steps = range(1, H + 1)
    assert np.allclose(forecasts["naive"][0, 0], Y[origin])
    seasonal = [Y[origin + h - SEASON * (1 + (h - 1) // SEASON)] for h in steps]
    assert np.allclose(forecasts["seasonal_naive"][0, 0], seasonal)
    slope = (Y[origin] - Y[0]) / origin
    assert np.allclose(forecasts["drift"][0, 0], [Y[origin] + h * slope for h in steps])
    assert statistics.seasonal_error[0] == pytest.approx(np.abs(Y[4:40] - Y[:36]).mean())


def test_naive2_divides_by_the_season_and_multiplies_again():
    values = np.tile([1.0, 2.0, 3.0, 4.0], 12)
    statistics = statistics_of(values[:, None], 40, SEASON)
    history = history_of(values)
    point = Baselines(history, [statistics], season=SEASON, horizon=H).forecast(np.array([0]), np.array([41]))["naive2"]
    assert np.allclose(point[0, 0], [3, 4, 1, 2, 3, 4])


def test_a_series_without_a_season_has_no_indices():
    noise = np.random.default_rng(1).normal(10, 1, 60)
    assert statistics_of(noise[:, None], 50, SEASON).seasonal_indices == [None]
    assert statistics_of(np.ones((60, 1)), 50, SEASON).seasonal_indices == [None]


def test_exponential_smoothing_is_there_where_statsforecast_is():
    if not smoothing_available():
        pytest.skip("statsforecast is not installed")
    values = np.tile([10.0, 20.0, 30.0, 40.0], 10) + np.random.default_rng(2).normal(0, 0.1, 40)
    for count in (10, 1000):
        point = exponential_smoothing(values, smoothing_method(count), season=SEASON, horizon=4)
        assert np.allclose(point, [10, 20, 30, 40], atol=1)
    assert smoothing_method(10**6) is None


def test_levels_are_running_means_and_equal_step_by_step():
    smoothing = Smoothing(level_span=8, scale_span=20)
    levels, deviations, last = smoothing.run(Y, Level())
    assert levels[3] == pytest.approx(Y[:4].mean())
    state = Level()
    for place, value in enumerate(Y):
        state = smoothing.step(state, value)
        assert (state.level, state.deviation) == (levels[place], deviations[place])
    assert state == last
    level, deviation = smoothing.step_rows(levels[10:20], deviations[10:20], np.arange(11.0, 21.0), Y[11:21])
    assert np.allclose(level, levels[11:21])
    assert np.allclose(deviation, deviations[11:21])
    assert smoothing.step(state, np.nan) is state
    assert scale_of(np.array([0.0, 1000.0]), np.zeros(2)).tolist() == [1e-6, 1.0]


@pytest.mark.parametrize("seasons", [(1,), (SEASON,), (3, 12)])
def test_inputs_read_nothing_after_their_step(seasons):
    inputs = Inputs(Frequency("step", 1), seasons, H, 1)
    changed = Y.copy()
    changed[31:] = 1e6
    results = []
    for values in (Y, changed):
        history = history_of(values)
        number, places = np.zeros(31, dtype=np.int64), np.arange(31)
        results.append((inputs.encoder(history, number, places), inputs.decoder(history, number, places)))
    assert np.array_equal(results[0][0], results[1][0])
    assert np.array_equal(results[0][1], results[1][1])
    assert results[0][1].shape == (31, 1, H, inputs.candidates)


def test_the_reach_is_what_inputs_read():
    """Nothing that is older than `reach` changes the candidates, except through the level."""
    inputs = Inputs(Frequency("step", 1), (3, 12), H, 1)
    long = np.random.default_rng(3).normal(size=200)
    place = 150
    history = history_of(long)
    number, origins = np.array([0]), np.array([place])
    before = inputs.decoder(history, number, origins)
    history.filled[: place - inputs.reach + 1] = 1e9
    history.levels[: place - inputs.reach + 1] = 1e9
    assert np.array_equal(before, inputs.decoder(history, number, origins))


def test_a_candidate_is_the_seasonal_naive_forecast():
    inputs = Inputs(Frequency("step", 1), (SEASON,), H, 1)
    history = history_of(Y)
    candidates = inputs.decoder(history, np.array([0]), np.array([43]))[0, 0, :, inputs.seasonal_naive]
    point = Baselines(history, [None], season=SEASON, horizon=H).forecast(np.array([0]), np.array([43]))
    expected = (point["seasonal_naive"][0, 0] - history.levels[43, 0]) / history.scales[43, 0]
    assert np.allclose(candidates, expected, atol=1e-5)


def test_missing_values_are_filled_by_the_season_before_for_inputs_only():
    values = Y.copy()
    values[[2, 20]] = np.nan
    history = history_of(values)
    assert history.filled[20, 0] == Y[16]
    assert history.filled[2, 0] == history.levels[2, 0]
    assert np.isnan(history.values[20, 0])


@pytest.mark.parametrize("name", ["log", "box-cox"])
def test_transforms_invert(name):
    values = np.exp(np.random.default_rng(4).normal(size=200))
    power = find_power(values, name)
    assert abs(power) < 0.25  # the logarithm makes these normal
    assert np.allclose(invert(apply(values, power), power), values)
    assert find_power(values, "none") is None


def test_joined_series_have_the_gap_between_them():
    joined = join(collection(np.ones(5)), collection(np.full(3, 2.0), first=7))
    assert joined.lengths.tolist() == [10]
    assert np.isnan(joined.values[:, 0]).tolist() == [False] * 5 + [True] * 2 + [False] * 3
    other = join(collection(np.ones(5)), collection(np.full(3, 2.0), first=2), replacing=True)
    assert other.values[:, 0].tolist() == [2.0, 2.0, 2.0]
