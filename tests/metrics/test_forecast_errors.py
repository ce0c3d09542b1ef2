"""Errors of point forecasts against utilsforecast and loops."""

import numpy as np
import polars as pl
import pytest

from recurra.metrics import PointErrors, owa

losses = pytest.importorskip("utilsforecast.losses")
N, H, SEASON = 3, 5, 4
RNG = np.random.default_rng(0)
TRAIN = RNG.normal(10, 3, (N, 20))
TARGET, POINT = RNG.normal(10, 3, (N, H)), RNG.normal(10, 3, (N, H))
SCALES = np.abs(TRAIN[:, SEASON:] - TRAIN[:, :-SEASON]).mean(axis=1)


def errors(parts=1):
    sums = PointErrors(N, H)
    for numbers in np.array_split(np.arange(N), parts):
        sums.add(numbers, TARGET[numbers, None], POINT[numbers, None])
    return sums


def long(values, start):
    steps = np.arange(start, start + values.shape[1])
    return {"unique_id": np.repeat(["a", "b", "c"], len(steps)), "ds": np.tile(steps, N), "y": values.ravel()}


@pytest.mark.parametrize("parts", [1, 3])
def test_scores_are_those_of_utilsforecast(parts):
    frame = pl.DataFrame({**long(TARGET, 20), "net": POINT.ravel()})
    train = pl.DataFrame(long(TRAIN, 0))
    scores = errors(parts).scores(SCALES)
    assert scores["mae"] == pytest.approx(losses.mae(frame, ["net"])["net"].mean())
    assert scores["rmse"] == pytest.approx(losses.mse(frame, ["net"])["net"].mean() ** 0.5)
    # utilsforecast's sMAPE is from 0 to 1, that of M4 from 0 to 200.
    assert scores["smape"] == pytest.approx(200 * losses.smape(frame, ["net"])["net"].mean())
    mase = losses.mase(frame, ["net"], seasonality=SEASON, train_df=train)["net"].mean()
    assert scores["mase"] == pytest.approx(mase)


def test_scores_by_series_and_step_average_to_the_whole():
    sums, whole = errors(), errors().scores(SCALES)
    by_step, by_series = sums.by_step(SCALES), sums.by_series(SCALES)
    assert len(by_step["mae"]) == H
    assert len(by_series["mae"]) == N
    for name in ("mae", "smape", "mase"):
        assert np.mean(by_step[name]) == pytest.approx(whole[name])
        assert np.mean(by_series[name]) == pytest.approx(whole[name])


def test_missing_values_count_nowhere():
    target = np.array([[[1.0, np.nan, 3.0]]])
    sums = PointErrors(1, 3)
    sums.add(np.array([0]), target, np.array([[[2.0, 100.0, 5.0]]]))
    scores = sums.scores(np.array([3.0]))
    assert scores["mae"] == 1.5
    assert scores["mase"] == 0.5


def test_the_mean_is_for_squares_and_the_median_for_distances():
    sums = PointErrors(1, 1)
    sums.add(np.array([0]), np.array([[[3.0]]]), np.array([[[1.0]]]), np.array([[[2.0]]]))
    scores = sums.scores(np.ones(1))
    assert (scores["mae"], scores["rmse"]) == (2.0, 1.0)


def test_a_series_that_never_changed_has_no_mase():
    sums = PointErrors(2, 1)
    sums.add(np.array([0, 1]), np.array([[[3.0]], [[3.0]]]), np.array([[[1.0]], [[1.0]]]))
    assert sums.scores(np.array([0.0, 4.0]))["mase"] == 0.5


def test_two_zeros_have_no_error():
    sums = PointErrors(1, 1)
    sums.add(np.array([0]), np.zeros((1, 1, 1)), np.zeros((1, 1, 1)))
    assert sums.scores(np.ones(1))["smape"] == 0


def test_owa_relates_to_naive2():
    assert owa({"smape": 5.0, "mase": 2.0}, {"smape": 10.0, "mase": 2.0}) == 0.75
