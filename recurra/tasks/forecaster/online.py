"""A series as it arrives: each observation costs the same, however long the series is, and nothing is read again."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from recurra.data.series.collection import Collection
from recurra.data.series.frequency import Times
from recurra.errors import InputError
from recurra.tasks.forecaster.calibration import surprise_of
from recurra.tasks.forecaster.core import Core
from recurra.tasks.forecaster.distributions import LEVELS, MEDIAN
from recurra.tasks.forecaster.forecasting import SAMPLES, check_horizon
from recurra.tasks.forecaster.history import History
from recurra.tasks.forecaster.paths import Origins, draw
from recurra.tasks.forecaster.predict import Block, absolute, evaluating, mean_of, relative_quantiles
from recurra.tasks.forecaster.scaling import Level
from recurra.tasks.forecaster.transform import apply
from recurra.tasks.forecaster.windows import look_ahead, read_steps

Values = npt.NDArray[np.float64]
# Steps whose calendar is computed at once, and steps that lists may be longer than needed before they are cut.
_CALENDAR, _SLACK = 1024, 4096


class StateForecast(NamedTuple):
    """A forecast from a state."""

    times: Times
    """(H,), integers or microseconds since 1970."""
    mean: Values
    """(C, H)."""
    median: Values
    """(C, H)."""
    quantiles: Values
    """(C, H, Q), of the levels in `recurra.tasks.forecaster.distributions.LEVELS`."""


class Anomaly(NamedTuple):
    """How surprising an observation is under the forecast that was made before it."""

    p_value: float
    """The share of held-out observations that were at least as surprising."""
    alarm: bool
    """Whether it is below the rate of false alarms."""


class ForecastState:
    """The state of one series, which observations update.

    `observe` computes what reading the series again from the same beginning would. Without covariates an observation
    takes some microseconds: a step of the compiled stream of the layers (`recurra.layers.streaming`) and arithmetic on
    plain numbers.

    Args:
        model: the forecaster.
        history: the series so far, as `model.read` returns it.
        number: which series of it.
    """

    def __init__(self, model: Core, history: History, number: int) -> None:
        self._model, self._inputs, self._smoothing = model, model.inputs, model.smoothing
        self._series, self._origin = history.series, history.origins[number]
        self._number = number
        rows = history.series.rows(number)
        end = int(history.series.ends[number])
        self._length = end
        keep = slice(max(rows.start, rows.start + end - model.inputs.reach - 1), rows.start + end)
        self._filled: list[list[float]] = history.filled[keep].T.tolist()
        self._levels: list[list[float]] = history.levels[keep].T.tolist()
        last = rows.start + end - 1
        self._state = [
            Level(float(level), float(deviation), int(count))
            for level, deviation, count in zip(
                history.levels[last], history.deviations[last], history.counts[last], strict=True
            )
        ]
        self._members = model.network.each()
        self._streams = [member.layers.stream() for member in self._members]
        self._plain = not model.layout.covariates
        self._calendar, self._calendar_begin = np.zeros((0, model.inputs.calendar_size), dtype=np.float32), 0
        self._read(history, number, max(0, end - model.context), end)
        self._x = [self._input_buffer(member) for member in self._members]

    def _read(self, history: History, number: int, begin: int, end: int) -> None:
        """Reads the last steps of the history."""
        with evaluating(self._model.network):
            steps = read_steps(self._inputs, history, np.array([number]), np.arange(begin, end)[:, None])
            self._h = []
            for member, stream in zip(self._members, self._streams, strict=True):
                self._h.append(stream.run(member.inputs(steps))[-1, 0].clone())  # (H,)

    def _input_buffer(self, member: Any) -> tuple[torch.Tensor, Any]:
        """A tensor (1, I) for the inputs of a step, and its memory as an array; the vector of the series is in it."""
        x = torch.zeros(1, int(member.layers.input_size))
        if hasattr(member, "entities"):
            vector = member.entities.weight[self._origin.entity].detach()
            x[0, -len(vector) :] = vector
        return x, x.numpy()[0]

    @property
    def length(self) -> int:
        """Steps so far, missing ones included."""
        return self._length

    def observe(self, value: float | Any, *, past: Any = (), known: Any = ()) -> None:
        """Absorbs the value of the next step.

        Args:
            value: in the units of the data, NaN if it is missing; a sequence with one per channel if there are several.
            past: the past covariates of the step, as numbers encoded by the layout.
            known: its known and static covariates.

        Raises:
            InputError: the number of values or covariates is wrong, or a value is infinite or cannot be transformed.
        """
        values = (value,) if self._inputs.channels == 1 and not hasattr(value, "__len__") else value
        features: list[float] = []
        for channel, one in enumerate(self._checked(values)):
            self._absorb(channel, one, features)
        self._length += 1
        if self._inputs.calendar_size:
            features += self._calendar_row()
        if not self._plain:
            self._step_with_covariates(features, past, known)
            return
        size = len(features)
        for index, (x, memory) in enumerate(self._x):
            memory[:size] = features
            self._h[index] = self._streams[index].step(x)[0]

    def _checked(self, values: Any) -> list[float]:
        if len(values) != self._inputs.channels:
            raise InputError(f"observe: {len(values)} values, expected {self._inputs.channels}, one per channel")
        checked = []
        for value, power in zip(values, self._origin.powers, strict=True):
            number = float(value)
            if math.isinf(number) or (power is not None and power != 1.0 and number <= 0):
                expected = "a finite number" if math.isinf(number) else "a number above 0, which the transform needs"
                raise InputError(f"observe: the value is {number}, expected {expected}")
            checked.append(number if power is None else float(apply(np.array(number), power)))
        return checked

    def _absorb(self, channel: int, value: float, features: list[float]) -> None:
        """Updates the level of a channel and adds its inputs, those of `Inputs.encoder`."""
        filled, levels = self._filled[channel], self._levels[channel]
        before = self._state[channel]
        state = self._state[channel] = self._smoothing.step(before, value)
        level, scale = state.level, state.scale
        observed = value == value
        if not observed:
            season = self._inputs.seasons[0]
            value_filled = filled[-season] if len(filled) >= season else level
        else:
            value_filled = value
        filled.append(value_filled)
        levels.append(level)
        asinh = math.asinh
        features += (
            asinh((value - level) / scale) if observed else 0.0,
            asinh(5 * (level - before.level) / scale) if before.values else 0.0,
            math.tanh(level / scale / 2),
            1.0 if observed else 0.0,
        )
        for lag in self._inputs.lags:
            features.append(asinh((filled[-1 - lag] - level) / scale) if len(filled) > lag else 0.0)
        if len(filled) > self._inputs.reach + _SLACK:
            del filled[:_SLACK], levels[:_SLACK]

    def _calendar_row(self) -> Any:
        """The calendar of the step that was observed last."""
        place = self._length - 1 - self._calendar_begin
        if not 0 <= place < len(self._calendar):
            self._calendar_begin, place = self._length - 1, 0
            positions = self._calendar_begin + np.arange(_CALENDAR)
            at = np.full(_CALENDAR, self._number)
            self._calendar = self._inputs.calendar(self._series, at, positions)
        return self._calendar[place].tolist()

    def _step_with_covariates(self, features: list[float], past: Any, known: Any) -> None:
        columns = []
        for values, roles in ((past, ("past",)), (known, ("known", "static"))):
            expected = len(self._model.layout.of(*roles))
            if len(values) != expected:
                raise InputError(f"observe: {len(values)} covariates ({', '.join(roles)}), expected {expected}")
            columns.append(torch.tensor([list(values)], dtype=torch.float32))
        size = len(features)
        with evaluating(self._model.network):
            for index, (member, (x, memory)) in enumerate(zip(self._members, self._x, strict=True)):
                memory[:size] = features
                encoded = torch.cat([member.past(columns[0]), member.known(columns[1])], dim=-1)
                x[:, size : size + encoded.shape[1]] = encoded
                self._h[index] = self._streams[index].step(x)[0]

    def forecast(self, horizon: int | None = None, *, samples: int = SAMPLES, seed: int = 0) -> StateForecast:
        """Returns the forecast from the last observation.

        Args:
            horizon: steps; None for those of training.
            samples: paths of an autoregressive network.
            seed: of the paths.

        Raises:
            InputError: the horizon is longer than that of a direct network; known covariates, which a state has not.
        """
        horizon = horizon or self._model.horizon
        check_horizon(self._model, horizon)
        if self._model.layout.of("known"):
            raise InputError("forecast: a state has no future values of known covariates. Use model.forecast(frame)")
        relative, block, history = self._relative(horizon, samples, seed)
        calibration = self._model.calibration
        quantiles = absolute(relative if calibration is None else calibration.apply(relative), block, history)[0]
        times = self._series.times(self._number, self._length + np.arange(horizon))
        mean = mean_of(absolute(relative, block, history)[0])
        return StateForecast(times, mean, quantiles[..., MEDIAN], quantiles)

    def _relative(self, horizon: int, samples: int, seed: int) -> tuple[Values, Block, History]:
        """Quantiles (1, C, H, Q) relative to the level and the scale."""
        history = self._recent()
        number, origins = np.array([0]), history.series.lengths - 1
        level, scale = history.levels[origins][..., None], history.scales[origins][..., None]
        with evaluating(self._model.network):
            if self._model.options.head == "direct":
                ahead = look_ahead(self._inputs, history, number, origins)
                outputs = [member.forecast(h[None], ahead) for member, h in zip(self._members, self._h, strict=True)]
                block = Block(number, origins, outputs, level, scale)
                return relative_quantiles(self._model.network, block)[:, :, :horizon], block, history
            generator = torch.Generator().manual_seed(seed)
            at, share = Origins(number, origins), -(-samples // len(self._members))
            paths = [
                draw(self._model, index, history, at, h[None].clone(), stream.state, share, horizon, generator)
                for index, (h, stream) in enumerate(zip(self._h, self._streams, strict=True))
            ]
        block = Block(number, origins, [], level, scale)
        drawn = (np.concatenate(paths, axis=-1) - level[..., None]) / scale[..., None]
        return np.moveaxis(np.quantile(drawn, LEVELS, axis=-1), 0, -1), block, history

    def _recent(self) -> History:
        """The last steps as a history of one series."""
        filled = np.array([column[-self._inputs.reach - 1 :] for column in self._filled]).T  # (T, C)
        levels = np.array([column[-self._inputs.reach - 1 :] for column in self._levels]).T
        steps = len(filled)
        deviations, counts = np.zeros_like(filled), np.zeros_like(filled)
        deviations[-1] = [state.deviation for state in self._state]
        counts[-1] = [state.values for state in self._state]
        first = self._series.times(self._number, np.array([self._length - steps]))
        width = len(self._model.layout.of("past")), len(self._model.layout.of("known", "static"))
        series = Collection(
            frequency=self._series.frequency,
            ids=[self._series.ids[self._number]],
            channels=self._series.channels,
            first=first,
            starts=np.array([0, steps]),
            values=filled,
            past=np.zeros((steps, width[0]), dtype=np.float32),
            known=np.repeat(self._static(width[1]), steps, axis=0),
        )
        return History(series, [self._origin], filled, levels, deviations, counts, filled)

    def _static(self, width: int) -> Any:
        """The known and static covariates of the last row of the history, (1, K)."""
        rows = self._series.rows(self._number)
        return self._series.known[rows.stop - 1 : rows.stop] if width else np.zeros((1, 0), dtype=np.float32)

    def score(self, value: float | Any, *, false_alarms: float = 0.01) -> Anomaly:
        """Returns how surprising the value of the next step would be; call it before `observe`.

        Args:
            value: as in `observe`; of several channels the most surprising counts.
            false_alarms: the rate of alarms that is accepted where nothing is wrong.

        Raises:
            InputError: the model has no calibration, or one with too few held-out values for such a
                rate.
        """
        calibration = self._model.calibration
        if calibration is None:
            raise InputError("score: the model has no calibration, because its held-out part had too few values")
        calibration.check_rate(false_alarms)
        values = self._checked((value,) if self._inputs.channels == 1 and not hasattr(value, "__len__") else value)
        relative, block, _ = self._relative(1, SAMPLES, 0)
        numbers = (np.array(values) - block.level[0, :, 0]) / block.scale[0, :, 0]
        surprises = surprise_of(numbers, relative[0, :, 0])
        worst = float(np.nanmax(surprises)) if np.isfinite(surprises).any() else 0.0
        p_value = min(1.0, calibration.p_value(worst) * self._inputs.channels)
        return Anomaly(p_value, p_value <= false_alarms)
