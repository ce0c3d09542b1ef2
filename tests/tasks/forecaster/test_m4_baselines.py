"""The simple forecasts on M4 hourly have the scores that the competition published for them."""

import numpy as np
import pytest

from recurra.data.series.layout import find_layout
from recurra.data.series.reading import read_series
from recurra.data.series.tables import read_table
from recurra.metrics import PointErrors
from recurra.tasks.forecaster.baselines import Baselines
from recurra.tasks.forecaster.history import Origin, join, make_history
from recurra.tasks.forecaster.scaling import Level, smoothing_for
from recurra.tasks.forecaster.statistics import statistics_of

SEASON, H = 24, 48
# Makridakis, Spiliotis & Assimakopoulos (2020), and the evaluation of the competition's repository.
PUBLISHED = {"naive2": (18.383, 2.395), "seasonal_naive": (13.912, 1.193), "naive": (43.003, 11.608)}


def read(path):
    table = read_table(path)
    nothing = {"past": (), "known": (), "static": ()}
    layout = find_layout(
        table, id_column=None, time_column=None, targets=(), together=False, roles=nothing, categorical=()
    )
    return read_series([table], layout)


def test_simple_forecasts_have_their_published_scores(data):
    train, test = read(data / "m4_hourly" / "train.csv"), read(data / "m4_hourly" / "test.csv")
    assert len(train) == 414
    joined = join(train, test)
    history = make_history(joined, [Origin((None,), (Level(),), 0)] * 414, smoothing_for([SEASON]), SEASON)
    statistics = [
        statistics_of(train.values[train.rows(number)], int(train.lengths[number]), SEASON) for number in range(414)
    ]
    # The history starts with the training part, so that a drift starts there.
    number, origins = np.arange(414), train.lengths - 1
    forecasts = Baselines(history, statistics, season=SEASON, horizon=H).forecast(number, origins)
    scales = np.array([one.seasonal_error[0] for one in statistics])
    for name, (smape, mase) in PUBLISHED.items():
        errors = PointErrors(414, H)
        errors.add(number, test.values.reshape(414, 1, H), forecasts[name])
        scores = errors.scores(scales)
        assert scores["smape"] == pytest.approx(smape, abs=1e-3)
        assert scores["mase"] == pytest.approx(mase, abs=1e-3)
