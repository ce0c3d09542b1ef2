"""Scores of quantiles against utilsforecast, and against distributions whose scores are known."""

import math

import numpy as np
import polars as pl
import pytest

from recurra.metrics import IntervalScores, pinball

LEVELS = (0.025, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.975)
# Quantiles of the standard normal distribution.
NORMAL = [-1.95996, -1.28155, -0.84162, -0.67449, -0.5244, -0.25335, 0.0]
NORMAL += [-value for value in NORMAL[-2::-1]]


def scored(target, quantiles):
    scores = IntervalScores(LEVELS, target.shape[-1])
    scores.add(target[:, None], quantiles[:, None])
    return scores


def test_pinball_and_coverage_are_those_of_utilsforecast():
    losses = pytest.importorskip("utilsforecast.losses")
    rng = np.random.default_rng(1)
    y, quantiles = rng.normal(size=60), np.sort(rng.normal(size=(60, len(LEVELS))), axis=1)
    frame = pl.DataFrame({"unique_id": ["a"] * 60, "ds": np.arange(60), "y": y, "low": quantiles[:, 1]})
    frame = frame.with_columns(pl.Series("high", quantiles[:, 11]))
    expected = losses.quantile_loss(frame, {"net": "low"}, q=0.1)["net"][0]
    assert pinball(y, quantiles, LEVELS)[:, 1].mean() == pytest.approx(expected)
    inside = ((frame["low"] <= frame["y"]) & (frame["y"] <= frame["high"])).mean()
    assert scored(y[:, None], quantiles[:, None]).scores()["coverage_80"] == pytest.approx(inside)


def test_the_true_distribution_has_its_coverage_and_crps():
    y = np.random.default_rng(2).normal(size=(40_000, 1))
    scores = scored(y, np.tile(NORMAL, (len(y), 1, 1))).scores()
    for share in (50, 80, 95):
        assert scores[f"coverage_{share}"] == pytest.approx(share / 100, abs=0.01)
    # CRPS of the standard normal is 1/√π; nine deciles miss the tails.
    assert scores["crps"] == pytest.approx(1 / math.sqrt(math.pi), rel=0.1)


def test_a_point_forecast_has_its_absolute_error_as_crps():
    y = np.array([[3.0], [5.0]])
    scores = scored(y, np.full((2, 1, len(LEVELS)), 4.0)).scores()
    assert scores["crps"] == pytest.approx(1.0)
    assert scores["wql"] == pytest.approx(2 / 8)


def test_by_step_averages_to_the_whole_without_missing_values():
    rng = np.random.default_rng(3)
    y, quantiles = rng.normal(size=(50, 4)), np.sort(rng.normal(size=(50, 4, len(LEVELS))), axis=-1)
    y[0, 0] = np.nan
    scores = scored(y, quantiles)
    assert scores.by_step()["coverage_50"][0] <= 1
    weights = np.isfinite(y).sum(axis=0) / np.isfinite(y).sum()
    for name in ("crps", "coverage_50", "coverage_95"):
        assert np.dot(scores.by_step()[name], weights) == pytest.approx(scores.scores()[name])
