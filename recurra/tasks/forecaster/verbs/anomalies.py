"""`recurra anomalies DIR FILE`: observations that the forecasts before them did not expect."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.cli.opening import open_model
from recurra.files import check_place
from recurra.tasks.forecaster.anomalies import anomalies as find_anomalies
from recurra.tasks.forecaster.model import Forecaster
from recurra.tasks.forecaster.verbs.forecast import write_frame


def anomalies(
    model: Annotated[Path, Parameter(name="DIR")],
    files: Annotated[list[Path], Parameter(name="FILE", negative=())],
    /,
    *,
    false_alarms: float = 0.01,
    out: Path | None = None,
    every: Annotated[bool, Parameter(name="--all", negative=())] = False,
    cell: str | None = None,
) -> None:
    """Find new observations that the forecasts one step before them did not expect; the table is CSV.

    ```sh
    recurra anomalies sales today.csv --false-alarms 0.001
    ```

    Parameters
    ----------
    model
        The folder of a trained forecaster.
    files
        Tables with new values that continue the training series.
    false_alarms
        The share of ordinary observations that may be reported.
    out
        The file of the table, CSV or Parquet. Default: stdout.
    every
        Write all observations with their p-values, not only the alarms.
    cell
        module:Class, if the model was trained with a user-defined cell.
    """
    if out is not None:
        check_place(out)
    forecaster: Forecaster = open_model(model, cell, needs=Forecaster, does="find anomalies")
    frame = find_anomalies(forecaster.core, forecaster.series_of(forecaster.tables(files)), false_alarms=false_alarms)
    print(f"recurra: {frame['alarm'].sum():,} alarms in {len(frame):,} observations", file=sys.stderr)
    write_frame(frame if every else frame.filter(frame["alarm"]).drop("alarm"), out)
