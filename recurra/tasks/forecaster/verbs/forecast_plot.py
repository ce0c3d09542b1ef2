"""`--plot`: the last values of the first series, their forecasts with intervals, and the values observed later."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.data.series.collection import Collection
from recurra.diagnosis.plots import THEMES, Theme, check_plots, drawing, label
from recurra.errors import InputError, nearest
from recurra.files import check_place, write_output
from recurra.tasks.forecaster.history import History
from recurra.tasks.forecaster.output import shown_times

if TYPE_CHECKING:
    import polars
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SUFFIXES = (".png", ".svg", ".pdf")
# Panels of a plot, and steps of the past shown per step of the forecast.
_PANELS, _PAST = 4, 3
_STRENGTHS = {95: 0.18, 80: 0.3, 50: 0.42}


def check_plot(path: Path | None, theme: str) -> None:
    """Checks that a plot can be written, before work is done for it.

    Raises:
        InputError: the name has an unknown suffix, the folder does not exist, or the theme is unknown.
        RecurraError: matplotlib is not installed.
    """
    if path is None:
        return
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"--plot {path}: expected a name that ends in {', '.join(_SUFFIXES)}")
    _theme(theme)
    check_place(path)
    check_plots()


def _theme(name: str) -> Theme:
    themes = {theme.name: theme for theme in THEMES}
    if name not in themes:
        raise InputError(f"there is no theme {name!r}. {nearest(name, themes)}")
    return themes[name]


def draw_forecast(
    path: Path, frame: polars.DataFrame, history: History, *, truth: Collection | None = None, theme: str = "light"
) -> None:
    """Draws forecasts of the first series into a file.

    Args:
        path: the file, its suffix determines the format.
        frame: the forecasts, as `recurra.tasks.forecaster.output.forecast_frame` returns them.
        history: the series that they continue.
        truth: the values observed later; None if they are not known.
        theme: light or dark.
    """
    keys = ["unique_id", "channel"] if "channel" in frame.columns else ["unique_id"]
    groups = frame.partition_by(keys, maintain_order=True)[:_PANELS]

    def draw(figure: Figure, colours: Theme) -> None:
        panels = figure.subplots(len(groups), 1, squeeze=False)[:, 0]
        for axes, group in zip(panels, groups, strict=True):
            _panel(axes, group, history, truth, colours)
        # Outside: inside a panel it would cover values.
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=6, columnspacing=1.2)

    size = (11.0, 5.0 if len(groups) == 1 else 3.3 * len(groups))
    write_output(path, drawing(draw, size, path.suffix[1:].lower(), theme=_theme(theme)))


def _panel(axes: Axes, group: polars.DataFrame, history: History, truth: Collection | None, colours: Theme) -> None:
    name = group["unique_id"][0]
    channel = group["channel"][0] if "channel" in group.columns else None
    ahead, median = group["ds"].to_numpy(), group["median"].to_numpy()
    past, values = _recent(history.series, name, channel, _PAST * len(group))
    for share, strength in _STRENGTHS.items():
        axes.fill_between(
            ahead, group[f"lo-{share}"].to_numpy(), group[f"hi-{share}"].to_numpy(), color=colours.series[0],
            alpha=strength, linewidth=0, label=f"{share} %",
        )  # fmt: skip
    axes.plot(past, values, color=colours.ink, linestyle="-", linewidth=1.8, label="observed")
    axes.plot(ahead, median, color=colours.series[0], linestyle="-", label="median forecast")
    if truth is not None and name in truth.ids:
        at, later = _recent(truth, name, channel, None)
        inside = at <= ahead[-1]
        axes.plot(
            at[inside], later[inside], color=colours.series[1], linestyle="--", linewidth=2.0, label="observed later"
        )
    label(axes, "", "", name if channel is None else f"{name}: {channel}")
    axes.margins(x=0.01)


def _recent(series: Collection, name: str, channel: str | None, steps: int | None) -> tuple[Any, Any]:
    """The times and the last values of a series."""
    number = series.ids.index(name)
    rows = series.rows(number)
    column = 0 if channel is None else series.channels.index(channel)
    end = int(series.ends[number])
    positions = np.arange(0 if steps is None else max(0, end - steps), end)
    times = shown_times(series.times(number, positions), timed=series.frequency.timed)
    return times, series.values[rows, column][positions]
