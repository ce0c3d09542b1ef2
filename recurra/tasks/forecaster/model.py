"""A trained forecaster: reads series, forecasts, keeps states that absorb observations, and evaluates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from recurra.cells import Cell
from recurra.data.series.collection import Collection
from recurra.data.series.frequency import Frequency
from recurra.data.series.layout import ROLES, Layout
from recurra.data.series.reading import read_series
from recurra.data.series.tables import Table, frame_table, read_table
from recurra.errors import InputError, nearest
from recurra.tasks.capabilities import Evaluates
from recurra.tasks.cell_names import stored_cell
from recurra.tasks.fields import read_fields, to_plain
from recurra.tasks.forecaster.calibration import NO_FILES, load_calibration
from recurra.tasks.forecaster.continuation import Continuation, check_known, continued, remembered
from recurra.tasks.forecaster.core import Core
from recurra.tasks.forecaster.data import SeriesData
from recurra.tasks.forecaster.evaluation import evaluate
from recurra.tasks.forecaster.forecasting import SAMPLES, check_horizon, outlooks
from recurra.tasks.forecaster.history import Origin, make_history
from recurra.tasks.forecaster.inputs import Inputs
from recurra.tasks.forecaster.memory import Memory, load_memory, remember
from recurra.tasks.forecaster.network import ForecastNetwork, Sizes
from recurra.tasks.forecaster.online import ForecastState
from recurra.tasks.forecaster.options import EvaluationOptions, NetworkOptions
from recurra.tasks.forecaster.output import forecast_frame
from recurra.tasks.forecaster.scaling import Level, smoothing_for
from recurra.tasks.forecaster.statistics import statistics_of
from recurra.tasks.forecaster.trial import trial_of

if TYPE_CHECKING:
    import polars

_FIELDS = {"network", "frequency", "seasons", "horizon", "context", "channels", "layout", "reading"}
_FIELDS |= {"sizes", "circles", "window"}


class Forecaster(Evaluates):
    """A network with its series, as `recurra.load(DIR)` returns it for a folder of `recurra train forecaster`.

    Args:
        core: the network, its inputs and its series.
        reading: the options with which files are read.
    """

    name: ClassVar[str] = "forecaster"

    def __init__(self, core: Core, reading: dict[str, Any]) -> None:
        self.core, self.reading = core, reading

    @property
    def network(self) -> ForecastNetwork:
        """The network."""
        return self.core.network

    @property
    def options(self) -> NetworkOptions:
        """The options of the network."""
        return self.core.options

    @property
    def horizon(self) -> int:
        """Steps that are forecast by default."""
        return self.core.horizon

    @classmethod
    def create(cls, data: SeriesData, options: NetworkOptions) -> Forecaster:
        """Returns a forecaster for series, with random weights from torch's global generator."""
        series, smoothing = data.series, smoothing_for(list(data.seasons))
        origins = [
            Origin(tuple(powers), (Level(),) * series.values.shape[1], number)
            for number, powers in enumerate(data.powers, start=1)
        ]
        inputs = _inputs(
            options, series.frequency, data.seasons, data.horizon, data.series.channels, data.circles, data.window
        )
        statistics = [
            statistics_of(series.values[series.rows(number)], int(data.valid_from[number]), data.seasons[0])
            for number in range(len(series))
        ]
        history = make_history(series, origins, smoothing, data.seasons[0])
        reach = replace(inputs, horizon=data.horizon).reach
        memory = remember(history, statistics, smoothing, data.context + reach)
        network = _network(options, inputs, memory, data.layout)
        return cls(Core(options, data.layout, inputs, data.horizon, data.context, memory, network), data.reading)

    def config(self) -> dict[str, Any]:
        """Returns what rebuilds the forecaster together with its series, as JSON can represent it."""
        frequency = self.core.inputs.frequency
        return {
            "network": to_plain(self.core.options),
            "frequency": list(astuple(frequency)),
            "seasons": list(self.core.inputs.seasons),
            "horizon": self.horizon,
            "context": self.core.context,
            "channels": self.core.memory.series.channels,
            "layout": self.core.layout.to_plain(),
            "reading": self.reading,
            "circles": list(self.core.inputs.circles),
            "window": self.core.inputs.window,
            "sizes": len(self.core.memory.series),
        }

    def settings(self) -> dict[str, Any]:
        """Returns the options of training that this forecaster determines, for a run that starts from it."""
        core, layout = self.core, self.core.layout
        powers = {power for origin in core.memory.origins for power in origin.powers}
        columns = {role: [column.name for column in layout.of(role)] or None for role in ROLES}
        return {
            **to_plain(core.options),
            **self.reading,
            **columns,
            "categorical": [column.name for column in layout.covariates if column.categories is not None] or None,
            "id_column": layout.id,
            "time_column": layout.time,
            "target": layout.targets,
            "together": layout.together,
            "horizon": core.horizon,
            "season": list(core.inputs.seasons),
            "freq": core.inputs.frequency.name,
            "transform": "none" if powers == {None} else "log" if powers == {0.0} else "box-cox",
            "context": core.context,
            "linear": core.inputs.window,
        }

    def files(self) -> dict[str, str]:
        """Returns the files of the series and of the calibration, name to text."""
        calibration = self.core.calibration
        return self.core.memory.files() | (NO_FILES if calibration is None else calibration.files())

    @classmethod
    def from_files(cls, config: dict[str, Any], folder: Path, *, cell: Cell | None = None) -> Forecaster:
        """Returns the forecaster that `config()` and the files in `folder` describe, its weights not yet loaded.

        Raises:
            InputError: a field is missing, unknown or of another type, or does not fit the series.
        """
        path = folder / "config.json"
        if config.keys() != _FIELDS or not isinstance(config["network"], dict):
            raise InputError(f"{path}: the model's fields are {sorted(config)}, expected {', '.join(sorted(_FIELDS))}")
        options = read_fields(NetworkOptions, config["network"], where=f"{path}: network")
        try:
            frequency, layout = Frequency(*config["frequency"]), Layout.from_plain(config["layout"])
            channels = [str(name) for name in config["channels"]]
            horizon, seasons = int(config["horizon"]), tuple(map(int, config["seasons"]))
            circles = tuple(map(str, config["circles"]))
            inputs = _inputs(options, frequency, seasons, horizon, channels, circles, int(config["window"]))
            context = int(config["context"])
        except (TypeError, ValueError, KeyError) as error:
            raise InputError(f"{path}: is damaged ({error}). Restore the file, or train again") from None
        memory = load_memory(folder, frequency, channels, len(layout.of("past")), len(layout.of("known", "static")))
        network = _network(options, inputs, memory, layout, stored_cell(options.recurrent, folder, cell))
        core = Core(options, layout, inputs, horizon, context, memory, network, load_calibration(folder))
        return cls(core, dict(config["reading"]))

    def tables(self, files: Sequence[str | Path]) -> list[Table]:
        """Reads files as the training files were read.

        Raises:
            InputError: a file cannot be read.
        """
        return [read_table(Path(file), **self.reading) for file in files]

    def series_of(self, tables: Sequence[Table]) -> Collection:
        """Returns the series of tables, which have the columns of the training files.

        Raises:
            InputError: a column is missing, or the series cannot be used.
        """
        return read_series(tables, self.core.layout, self.core.inputs.frequency)

    def evaluate(
        self, files: str | Path | Sequence[str | Path] = (), folder: str | Path | None = None, **options: Any
    ) -> dict[str, Any]:
        """Returns the scores on series that continue the training series, and those of simple forecasts.

        Args:
            files: tables with the columns of the training files.
            folder: not used.
            **options: the fields of `recurra.tasks.forecaster.options.EvaluationOptions`.

        Returns:
            The scores of `recurra.tasks.forecaster.evaluation.evaluate`.

        Raises:
            InputError: a file cannot be read, or its series overlap the training series.
        """
        chosen = read_fields(EvaluationOptions, options, where="evaluate")
        paths = [files] if isinstance(files, str | Path) else list(files)
        test = trial_of(self.core, self.series_of(self.tables(paths)))
        horizon = chosen.horizon or self.horizon
        return evaluate(self.core, test, horizon=horizon, stride=chosen.stride, by_series=chosen.by_series)

    def forecast(
        self, frame: Any = None, *, horizon: int | None = None, paths: int = 0, seed: int = 0
    ) -> polars.DataFrame:
        """Returns forecasts after the last value of each series.

        Args:
            frame: new values, a data frame of polars or pandas with the columns of the training files; they continue
                the training series, or replace them where they start earlier. None for the training series as they
                ended. Known covariates of the future are rows at the end without values.
            horizon: steps; None for those of training.
            paths: sample paths of an autoregressive network, as further columns.
            seed: of the paths.

        Returns:
            A row per series and time: unique_id, ds, mean, median, lo-95, lo-80, lo-50, hi-50, hi-80, hi-95.

        Raises:
            InputError: the frame cannot be used, or the horizon is longer than that of a direct network.
        """
        start = remembered(self.core) if frame is None else continued(self.core, self.series_of([frame_table(frame)]))
        return self.forecast_from(start, horizon=horizon, paths=paths, seed=seed)

    def forecast_from(
        self, start: Continuation, *, horizon: int | None = None, paths: int = 0, seed: int = 0
    ) -> polars.DataFrame:
        """Returns forecasts after the last value of each series of a continuation; see `forecast`."""
        horizon = horizon or self.horizon
        if paths and self.core.options.head == "direct":
            raise InputError(
                f"paths={paths}: only an autoregressive network draws paths. Train with --head autoregressive"
            )
        check_horizon(self.core, horizon)
        check_known(self.core, start.history, start.origins, horizon)
        samples = max(SAMPLES, paths)
        drawn = outlooks(self.core, start.history, start.origins, horizon=horizon, samples=samples, seed=seed)
        return forecast_frame(drawn, start.history, paths=paths)

    def state(self, frame: Any = None, *, series: str | None = None) -> ForecastState:
        """Returns the state of one series, which absorbs observations one by one.

        Args:
            frame: the series so far, as in `forecast`; None for the training series as they ended.
            series: its name; None if there is only one.

        Raises:
            InputError: the frame cannot be used, or there is no such series.
        """
        start = remembered(self.core) if frame is None else continued(self.core, self.series_of([frame_table(frame)]))
        ids = start.history.series.ids
        if series is None and len(ids) > 1:
            raise InputError(f"state: there are {len(ids)} series: name one by series=, such as {ids[0]!r}")
        if series is not None and series not in ids:
            raise InputError(f"state: there is no series {series!r}. {nearest(series, ids)}")
        return ForecastState(self.core, start.history, 0 if series is None else ids.index(series))


def _inputs(
    options: NetworkOptions,
    frequency: Frequency,
    seasons: tuple[int, ...],
    horizon: int,
    channels: list[str],
    circles: tuple[str, ...],
    window: int,
) -> Inputs:
    # An autoregressive network forecasts one step, and its own forecasts are the inputs of the next.
    return Inputs(frequency, seasons, horizon if options.head == "direct" else 1, len(channels), circles, window)


def _network(
    options: NetworkOptions, inputs: Inputs, memory: Memory, layout: Layout, cell: Cell | None = None
) -> ForecastNetwork:
    sizes = Sizes(
        channels=inputs.channels,
        horizon=inputs.horizon,
        per_channel=inputs.per_channel,
        calendar=inputs.calendar_size,
        candidates=inputs.candidates,
        seasonal_naive=inputs.seasonal_naive,
        window=inputs.window,
        series=len(memory.series),
    )
    return ForecastNetwork(sizes, options, layout.of("past"), layout.of("known", "static"), cell)
