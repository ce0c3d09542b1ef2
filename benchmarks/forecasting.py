"""Forecasters with defaults alone on series that are made here: scores next to those of simple forecasts.

Run: python benchmarks/forecasting.py [KIND …]   A minute per kind on one core; without arguments all kinds.

Each kind has a file of daily or weekly series whose frequency and season nobody sets. The scores are of forecasts from
every day or week of four horizons after training, so that one lucky forecast does not decide.
"""

import datetime
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

import recurra

_DAY, _WEEK = 1, 7
Values = np.ndarray


def wander(rng: np.random.Generator, n: int, memory: float, noise: float) -> Values:
    """An autoregressive process."""
    values = np.zeros(n)
    for place, shock in enumerate(rng.normal(0, noise, n)):
        values[place] = memory * values[place - 1] + shock
    return values


def trend_and_year(rng: np.random.Generator, t: Values) -> Values:
    wave = rng.uniform(5, 25) * np.sin(2 * np.pi * (t + rng.integers(52)) / 52)
    return 100 + rng.uniform(-0.3, 0.6) * t + wave + wander(rng, len(t), 0.6, 3)


def two_seasons(rng: np.random.Generator, t: Values) -> Values:
    year = 30 * np.sin(2 * np.pi * (t + rng.integers(365)) / 365)
    return 200 + rng.normal(0, 8, 7)[t % 7] + year + wander(rng, len(t), 0.7, 4)


def counts(rng: np.random.Generator, t: Values) -> Values:
    week = np.exp(rng.normal(0, 0.3, 7))
    return rng.poisson(np.exp(wander(rng, len(t), 0.95, 0.05)) * rng.uniform(1, 15) * week[t % 7]).astype(float)


def intermittent(rng: np.random.Generator, t: Values) -> Values:
    return np.where(rng.random(len(t)) < rng.uniform(0.05, 0.3), rng.poisson(3, len(t)) + 1, 0).astype(float)


def level_shifts(rng: np.random.Generator, t: Values) -> Values:
    level = np.cumsum(np.where(rng.random(len(t)) < 0.01, rng.normal(0, 30, len(t)), 0))
    return 150 + level + rng.normal(0, 6, 7)[t % 7] + rng.normal(0, 3, len(t))


def random_walk(rng: np.random.Generator, t: Values) -> Values:
    return 100 + np.cumsum(rng.normal(0, 1, len(t)))


def noise(rng: np.random.Generator, t: Values) -> Values:
    return 50 + rng.normal(0, 5, len(t))


def growth(rng: np.random.Generator, t: Values) -> Values:
    week = np.exp(rng.normal(0, 0.4, 7))
    return np.exp(0.0015 * t + 3) * week[t % 7] * np.exp(wander(rng, len(t), 0.5, 0.08))


# The function, days between values, steps of training, horizon, number of series.
KINDS: dict[str, tuple[Callable[[np.random.Generator, Values], Values], int, int, int, int]] = {
    "trend and year": (trend_and_year, _WEEK, 260, 26, 10),
    "two seasons": (two_seasons, _DAY, 900, 28, 10),
    "counts": (counts, _DAY, 500, 28, 20),
    "intermittent": (intermittent, _DAY, 500, 28, 20),
    "level shifts": (level_shifts, _DAY, 700, 28, 10),
    "random walk": (random_walk, _DAY, 600, 28, 10),
    "noise": (noise, _WEEK, 200, 13, 10),
    "growth, one series": (growth, _DAY, 730, 28, 1),
    "trend and year, one series": (trend_and_year, _WEEK, 200, 13, 1),
    "two seasons, one series": (two_seasons, _DAY, 900, 28, 1),
    "level shifts, one series": (level_shifts, _DAY, 700, 28, 1),
}
_COLUMNS = ("seasonal_naive", "naive", "drift")


def make(kind: str, folder: Path) -> int:
    """Writes train.csv and test.csv of a kind; returns its horizon."""
    function, days, steps, horizon, count = KINDS[kind]
    rng, t = np.random.default_rng(7), np.arange(steps + 4 * horizon)
    dates = [datetime.date(2020, 1, 6) + datetime.timedelta(days=days * int(step)) for step in t]
    frames = [
        pl.DataFrame({"unique_id": f"s{number}", "ds": dates, "y": function(rng, t).round(3), "step": t})
        for number in range(count)
    ]
    whole = pl.concat(frames)
    whole.filter(pl.col("step") < steps).drop("step").write_csv(folder / "train.csv")
    whole.filter(pl.col("step") >= steps).drop("step").write_csv(folder / "test.csv")
    return horizon


def main(kinds: list[str]) -> None:
    print(f"{'MASE':<28}{'network':>10}" + "".join(f"{name.replace('_', ' '):>16}" for name in _COLUMNS) + "   80 %")
    for kind in kinds:
        with tempfile.TemporaryDirectory() as aside:
            folder = Path(aside)
            horizon = make(kind, folder)
            model = recurra.train("forecaster", folder / "train.csv", out=folder / "model", horizon=horizon)
            scores = model.evaluate(folder / "test.csv", stride=1)
        others = "".join(f"{scores[name]['mase']:>16.3f}" for name in _COLUMNS)
        print(f"{kind:<28}{scores['mase']:>10.3f}{others}{scores['coverage_80']:>7.1%}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or list(KINDS))
