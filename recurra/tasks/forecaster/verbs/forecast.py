"""`recurra forecast DIR`: forecasts after the last value of each series."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from recurra.cli.opening import open_model
from recurra.cli.output import put
from recurra.files import check_place, write_output
from recurra.tasks.forecaster.continuation import continued, remembered
from recurra.tasks.forecaster.model import Forecaster
from recurra.tasks.forecaster.verbs.forecast_plot import check_plot, draw_forecast

if TYPE_CHECKING:
    import polars


def forecast(
    model: Annotated[Path, Parameter(name="DIR")],
    /,
    *,
    new: Annotated[list[Path] | None, Parameter(name="--input", negative=(), consume_multiple=True)] = None,
    out: Path | None = None,
    horizon: int | None = None,
    paths: int = 0,
    seed: int = 0,
    plot: Path | None = None,
    truth: Path | None = None,
    theme: str = "light",
    cell: str | None = None,
) -> None:
    """Forecast the series of a forecaster, or new values that continue them; the table is CSV.

    A row per series and time has the mean, the median, and the ends of the intervals of 50, 80 and 95 %.

    ```sh
    recurra forecast sales
    recurra forecast sales --input today.csv --out forecast.csv --plot forecast.png
    recurra forecast sales --paths 100 --horizon 90
    ```

    Parameters
    ----------
    model
        The folder of a trained forecaster.
    new
        Files with new values, and the columns of the training files. They continue the training series; a series that
        starts before the training series ends replaces it. Rows at the end without values, but with known covariates,
        are the future.
    out
        The file of the forecasts, CSV or Parquet. Default: stdout.
    horizon
        Steps to forecast. Default: as in training.
    paths
        Sample paths to write as further columns, for an autoregressive network.
    seed
        Seed of the sample paths.
    plot
        A plot of the first series: .png, .svg or .pdf.
    truth
        A file with the values observed later, for the plot.
    theme
        Colours of the plot: light or dark.
    cell
        module:Class, if the model was trained with a user-defined cell.
    """
    check_plot(plot, theme)
    if out is not None:
        check_place(out)
    forecaster: Forecaster = open_model(model, cell, needs=Forecaster, does="forecast")
    start = remembered(forecaster.core)
    if new is not None:
        start = continued(forecaster.core, forecaster.series_of(forecaster.tables(new)))
    for note in start.notes:
        print(f"recurra: {note}", file=sys.stderr)
    frame = forecaster.forecast_from(start, horizon=horizon, paths=paths, seed=seed)
    if plot is not None:
        later = None if truth is None else forecaster.series_of(forecaster.tables([truth]))
        draw_forecast(plot, frame, start.history, truth=later, theme=theme)
    write_frame(frame, out)


def write_frame(frame: polars.DataFrame, out: Path | None) -> None:
    """Writes a table as CSV to stdout, or into a file, as Parquet if its name ends so."""
    if out is None:
        put(_csv(frame))
    elif out.suffix.lower() in (".parquet", ".pq"):
        frame.write_parquet(out)
    else:
        write_output(out, _csv(frame))


def _csv(frame: polars.DataFrame) -> str:
    return frame.write_csv(float_precision=6, datetime_format="%Y-%m-%d %H:%M:%S")
