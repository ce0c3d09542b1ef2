"""The data of a run: series read from files, checked, and written into a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.data.series.collection import Collection
from recurra.data.series.frequency import Frequency
from recurra.data.series.layout import ROLES, Layout, find_layout
from recurra.data.series.reading import read_series
from recurra.data.series.seasons import seasons_of
from recurra.data.series.tables import Table, read_table
from recurra.errors import InputError
from recurra.tasks.forecaster.core import Core
from recurra.tasks.forecaster.defaults import (
    circles_for,
    context_for,
    held_out_from,
    powers_for,
    uniform_loss,
    window_for,
)
from recurra.tasks.forecaster.inputs import usable_seasons
from recurra.tasks.forecaster.options import NetworkOptions, SeriesOptions, WindowOptions
from recurra.tasks.notes import first_names

ARRAYS, HEADER = "series.npz", "forecaster.json"


@dataclass(frozen=True)
class SeriesData:
    """Series ready to train on: a `recurra.tasks.implementation.Data`.

    Args:
        series: training and validation part.
        layout: the columns of the files.
        seasons: lengths of seasons, shortest first.
        horizon: steps to forecast.
        context: steps that are read before a forecast.
        valid_from: (N,), the first held-out position of each series.
        powers: λ of the transform of each series and channel.
        names: names of the files.
        reading: the options with which files are read.
        uniform: the loss of a uniform guess.
        circles: the calendar features.
        window: last values that the linear part of a forecast reads.
    """

    series: Collection
    layout: Layout
    seasons: tuple[int, ...]
    horizon: int
    context: int
    valid_from: npt.NDArray[np.int64]
    powers: list[list[float | None]]
    names: list[str]
    reading: dict[str, Any]
    uniform: float
    circles: tuple[str, ...]
    window: int

    def summary(self) -> str:
        """Returns the training data in one line."""
        count = len(self.series)
        channels = f" of {len(self.series.channels)} channels" if len(self.series.channels) > 1 else ""
        return f"{count:,} series{channels}, {len(self.series.values):,} steps, of {first_names(self.names)}"

    def uniform_loss(self) -> float:
        """Returns the loss of a uniform guess over the range of values."""
        return self.uniform

    def notes(self) -> list[str]:
        """Returns what was found in the files, one line each."""
        series = self.series
        lengths = self.series.lengths
        shortest = f"{lengths.min():,} to " if lengths.min() != lengths.max() else ""
        season = " and ".join(map(str, self.seasons)) if self.seasons != (1,) else "none"
        missing = int(np.isnan(series.values).sum())
        lines = [
            f"{len(series):,} series of {shortest}{lengths.max():,} steps, frequency {series.frequency.name}, season "
            f"{season}, {self.context} steps read before a forecast of {self.horizon}",
        ]
        if missing:
            lines.append(f"{missing:,} of {series.values.size:,} values are missing: nothing is learned from them")
        constant = [
            series.ids[number] for number in range(len(series)) if _is_constant(series.values[series.rows(number)])
        ]
        if constant:
            lines.append(f"{len(constant):,} constant series: {_named(constant)}")
        short = int((self.valid_from < self.context).sum())
        if short:
            lines.append(f"{short:,} series are shorter than {self.context} steps without their validation part")
        return lines + series.notes


def _is_constant(values: npt.NDArray[np.float64]) -> bool:
    known = values[np.isfinite(values)]
    return len(known) > 1 and bool(known.min() == known.max())


def prepare(
    files: Sequence[Path],
    options: SeriesOptions,
    network: NetworkOptions,
    windows: WindowOptions,
    folder: Path,
    *,
    start: Core | None = None,
) -> SeriesData:
    """Reads and checks the files.

    Args:
        files: tables of series.
        options: of the series.
        network: its distribution restricts the values.
        windows: the context.
        folder: where the data are written.
        start: the model to continue from, which determines the covariates, the calendar and the vectors of series.

    Raises:
        InputError: a file cannot be read as series, or a series cannot be used.
    """
    if not files:
        raise InputError("no files of series: name at least one")
    reading: dict[str, Any] = {"decimal_comma": options.decimal_comma, "time_format": options.time_format}
    tables = [read_table(path, **reading) for path in files]
    layout = _layout(tables, options) if start is None else start.layout
    series = read_series(tables, layout, options.freq)
    series = _trained_part(series, options, files[0])
    if start is not None and network.series_embedding:
        series = _in_order(series, start, files[0])
    _check_counts(series, network, files[0])
    seasons = usable_seasons(
        options.season or seasons_of(series.frequency, [series.values[series.rows(i), 0] for i in range(len(series))])
    )
    valid_from = held_out_from(series, options, seasons)
    data = SeriesData(
        series=series,
        layout=layout,
        seasons=seasons,
        horizon=options.horizon,
        context=windows.context or context_for(seasons),
        valid_from=valid_from,
        powers=powers_for(series, options.transform),
        names=[path.name for path in files],
        reading=reading,
        uniform=uniform_loss(series, network.distribution),
        circles=circles_for(series, valid_from) if start is None else start.inputs.circles,
        window=window_for(seasons, valid_from) if windows.linear is None else windows.linear,
    )
    _write(data, folder)
    return data


def _layout(tables: Sequence[Table], options: SeriesOptions) -> Layout:
    return find_layout(
        tables[0],
        id_column=options.id_column,
        time_column=options.time_column,
        targets=options.target or (),
        together=options.together,
        roles={role: getattr(options, role) or () for role in ROLES},
        categorical=options.categorical or (),
    ).fitted(tables)


def _in_order(series: Collection, start: Core, file: Path) -> Collection:
    """Returns series in the order of a model that has a vector for each."""
    expected = start.memory.series.ids
    if sorted(series.ids) != sorted(expected):
        other = sorted(set(series.ids) ^ set(expected))
        raise InputError(
            f"{file}: the model to start from has vectors of {len(expected)} series, and the files have others: "
            f"{_named(other)} is in one of them only. Train without --init-from, or with --series-embedding 0"
        )
    return series.select([series.ids.index(name) for name in expected])


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _trained_part(series: Collection, options: SeriesOptions, file: Path) -> Collection:
    """Returns the series up to their last values, without the steps that are left out for testing."""
    ends = series.ends - options.test_steps
    if ends.max() < 3:
        raise InputError(
            f"{file}: the longest series has {series.ends.max()} values, of which test_steps={options.test_steps} are "
            "left out: expected 3 or more"
        )
    kept = np.flatnonzero(ends >= 3).tolist()
    if len(kept) < len(series):
        names = [series.ids[number] for number in range(len(series)) if ends[number] < 3]
        series.notes.append(f"{len(names):,} series with fewer than 3 steps left out: {_named(names)}")
    return series.select(kept).head(ends[kept])


def _check_counts(series: Collection, network: NetworkOptions, file: Path) -> None:
    if network.distribution != "negative-binomial":
        return
    known = series.values[np.isfinite(series.values)]
    wrong = known[(known < 0) | (known != np.floor(known))]
    if len(wrong):
        raise InputError(
            f"{file}: the value {wrong[0]:g} is no count: distribution=negative-binomial needs whole numbers of 0 or "
            "more. Use quantiles, normal or student"
        )


def _write(data: SeriesData, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    series = data.series
    np.savez(
        folder / ARRAYS,
        first=series.first,
        starts=series.starts,
        values=series.values,
        past=series.past,
        known=series.known,
        valid_from=data.valid_from,
    )
    header = {
        "ids": series.ids,
        "channels": series.channels,
        "notes": series.notes,
        "frequency": astuple(series.frequency),
        "layout": data.layout.to_plain(),
        "seasons": data.seasons,
        "horizon": data.horizon,
        "context": data.context,
        "powers": data.powers,
        "names": data.names,
        "reading": data.reading,
        "uniform": data.uniform,
        "circles": data.circles,
        "window": data.window,
    }
    (folder / HEADER).write_text(json.dumps(header), encoding="utf-8")


def reopen(folder: Path) -> SeriesData:
    """Returns the data that `prepare` wrote.

    Raises:
        InputError: a file is missing or damaged.
    """
    try:
        header = json.loads((folder / HEADER).read_text(encoding="utf-8"))
        with np.load(folder / ARRAYS) as arrays:
            columns = {name: arrays[name] for name in arrays.files}
        valid_from = columns.pop("valid_from")
        series = Collection(
            frequency=Frequency(*header.pop("frequency")),
            ids=header.pop("ids"),
            channels=header.pop("channels"),
            notes=header.pop("notes"),
            **columns,
        )
        header["layout"], header["seasons"] = Layout.from_plain(header["layout"]), tuple(header["seasons"])
        header["circles"] = tuple(header["circles"])
        return SeriesData(series=series, valid_from=valid_from, **header)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: the series cannot be read ({error}). Train again without --resume") from None
