"""What a model keeps of its training series: their ends, from which it forecasts, and statistics for scores."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.data.series.collection import Collection, collect
from recurra.data.series.frequency import Frequency
from recurra.errors import InputError
from recurra.files import read_object
from recurra.tasks.forecaster.history import History, Origin
from recurra.tasks.forecaster.scaling import Level, Smoothing
from recurra.tasks.forecaster.statistics import Statistics

FILE = "series.json"
FORMAT = 1


@dataclass(frozen=True)
class Memory:
    """The ends of the training series.

    Args:
        series: the last steps of each series.
        origins: what is known of each before them.
        statistics: per series, of all its steps.
    """

    series: Collection
    origins: list[Origin]
    statistics: list[Statistics]

    def origins_of(self, ids: list[str]) -> list[Origin | None]:
        """Returns what is known of series by name, None for unknown ones."""
        numbers = {name: number for number, name in enumerate(self.series.ids)}
        return [self.origins[numbers[name]] if name in numbers else None for name in ids]

    def statistics_of(self, name: str) -> Statistics | None:
        """Returns the statistics of a series, None for an unknown one."""
        return next((self.statistics[number] for number, known in enumerate(self.series.ids) if known == name), None)

    def files(self) -> dict[str, str]:
        """Returns the content of `series.json`, under its name."""
        lines = []
        for number, origin in enumerate(self.origins):
            rows = self.series.rows(number)
            line = {
                "id": self.series.ids[number],
                "first": int(self.series.first[number]),
                "powers": origin.powers,
                "levels": origin.levels,
                "statistics": self.statistics[number].to_plain(),
                "values": _listed(self.series.values[rows]),
                "past": _listed(self.series.past[rows]),
                "known": _listed(self.series.known[rows]),
            }
            lines.append(json.dumps(line, separators=(",", ":")))
        head = f'{{"format":{FORMAT},"series":[\n'
        return {FILE: head + ",\n".join(lines) + "\n]}\n"}


def remember(history: History, statistics: list[Statistics], smoothing: Smoothing, length: int) -> Memory:
    """Returns the last `length` steps of series, with the level before them."""
    series, origins = history.series, []
    for number, origin in enumerate(history.origins):
        dropped = max(0, int(series.lengths[number]) - length)
        origins.append(origin._replace(levels=history.level_at(number, dropped, smoothing)))
    return Memory(series.tail(length), origins, statistics)


def load_memory(folder: Path, frequency: Frequency, channels: list[str], past: int, known: int) -> Memory:
    """Reads the file that `Memory.files` describes.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = folder / FILE
    content = read_object(path, missing=f"{folder} is not a forecaster, or is incomplete")
    if content.keys() != {"format", "series"} or content["format"] != FORMAT:
        raise InputError(f"{path}: expected an object of format {FORMAT} with series")
    parts, origins, statistics = [], [], []
    try:
        for entity, line in enumerate(content["series"], start=1):
            values = _array(line["values"], len(channels), np.float64)
            part = {"id": str(line["id"]), "first": int(line["first"]), "values": values}
            part["past"] = _array(line["past"], past, np.float32, len(values))
            part["known"] = _array(line["known"], known, np.float32, len(values))
            parts.append(part)
            levels = tuple(Level(float(a), float(b), int(c)) for a, b, c in line["levels"])
            powers = tuple(None if power is None else float(power) for power in line["powers"])
            if not len(levels) == len(powers) == len(channels):
                raise ValueError(f"{len(levels)} levels of {len(channels)} channels")
            origins.append(Origin(powers, levels, entity))
            statistics.append(Statistics.from_plain(line["statistics"]))
        return Memory(collect(frequency, channels, parts), origins, statistics)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{path}: is damaged ({error}). Restore the file, or train again") from None


def _listed(rows: npt.NDArray[Any]) -> list[list[float | None]]:
    """Columns of numbers, None for NaN, which JSON lacks."""
    return [[None if math.isnan(value) else value for value in column] for column in rows.T.tolist()]


def _array(columns: list[list[float | None]], width: int, dtype: Any, length: int | None = None) -> npt.NDArray[Any]:
    if len(columns) != width:
        raise ValueError(f"{len(columns)} columns, expected {width}")
    if not width:
        return np.zeros((length or 0, 0), dtype=dtype)
    array = np.array([[math.nan if value is None else value for value in column] for column in columns], dtype=dtype)
    return np.ascontiguousarray(array.T)
