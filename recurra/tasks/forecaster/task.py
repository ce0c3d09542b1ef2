"""The row of the forecaster in the table of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recurra.tasks.task import Task, Verb

if TYPE_CHECKING:
    from recurra.tasks.implementation import Implementation

_TRAIN = """Train a forecaster on time series, one or thousands.

TRAIN is CSV or Parquet, with one row per series and time (unique_id, ds, y), or a column of times and a column per
series. The frequency and the seasons are found from the data. The folder always contains the best model so far on the
held-out end of each series, and training interrupted with Ctrl-C continues with --resume.

```sh
recurra train forecaster sales.csv --horizon 48 --out sales
recurra train forecaster ETTh1.csv --target OT --horizon 96 --test-steps 2880 --out ett
recurra train forecaster --out sales --resume
```
"""


def _implement() -> Implementation:
    from recurra.tasks.forecaster.implementation import IMPLEMENTATION

    return IMPLEMENTATION


TASK = Task(
    name="forecaster",
    title="forecaster",
    loss_per="value",
    train_help=_TRAIN,
    files_name="TRAIN",
    files_help="Tables of series, CSV or Parquet.",
    evaluate_help=(
        "A forecaster forecasts series that continue its training series, and reports MASE, sMAPE, OWA, the coverage "
        "of intervals and more, next to the same scores of simple forecasts."
    ),
    evaluate_files="tables that continue its training series",
    evaluate_example="recurra evaluate sales later.csv",
    usage="recurra forecast DIR --out forecast.csv\nrecurra evaluate DIR LATER.csv",
    verbs=(
        Verb(
            name="forecast",
            function="recurra.tasks.forecaster.verbs.forecast:forecast",
            help="Forecast time series with intervals.",
        ),
        Verb(
            name="backtest",
            function="recurra.tasks.forecaster.verbs.backtest:backtest",
            help="Score a forecaster from rolling origins.",
        ),
        Verb(
            name="anomalies",
            function="recurra.tasks.forecaster.verbs.anomalies:anomalies",
            help="Find observations that a forecaster did not expect.",
        ),
    ),
    implement=_implement,
)
