"""The options of a forecaster: each field is an option of `recurra train forecaster`, `evaluate` or `forecast`."""

from __future__ import annotations

from dataclasses import dataclass, field

from recurra.errors import InputError, nearest
from recurra.tasks.forecaster.distributions import DISTRIBUTIONS
from recurra.tasks.forecaster.transform import check_transform
from recurra.tasks.recurrent_options import RecurrentOptions

HEADS = ("direct", "autoregressive")


@dataclass(frozen=True, kw_only=True)
class SeriesOptions:
    """The series: their columns and frequency, how far ahead they are forecast, and which part is held out.

    Raises:
        InputError: an unknown transform, a number out of range.
    """

    horizon: int = 24
    """Steps to forecast."""
    freq: str | None = None
    """The frequency: s, min, h, D, B (Monday to Friday), W, M, Q or Y, with a number in front such as 15min; a number
    for integer times. Default: found from the times."""
    season: list[int] | None = None
    """Lengths of seasons in steps, at most two; 1 for none. Default: those of the frequency, such as a day and a week
    of hours; for integer times estimated from the values."""
    id_column: str | None = None
    """The column with the name of the series, in a table with one row per series and time. Default: unique_id."""
    time_column: str | None = None
    """The column of times. Default: ds, or else the first column."""
    target: list[str] | None = None
    """The columns of values. Default: y; without a column of names all columns that are nothing else, each a series."""
    together: bool = False
    """Forecast all target columns together: the network reads and forecasts all of them at each step."""
    past: list[str] | None = None
    """Further columns that are known up to the present."""
    known: list[str] | None = None
    """Further columns that are known for the future too, such as holidays."""
    static: list[str] | None = None
    """Further columns that are constant within each series."""
    categorical: list[str] | None = None
    """Those of the further columns whose values are names, not numbers."""
    decimal_comma: bool = False
    """Numbers in CSV files have a decimal comma."""
    time_format: str | None = None
    """The format of times in CSV files, such as %d.%m.%Y. Default: whole numbers and ISO 8601 are recognised."""
    transform: str = "none"
    """Transform of the values: none, log, or box-cox with a power for each series."""
    valid_steps: int | None = None
    """Steps at the end of each series that are held out for validation. Default: the horizon, or a tenth of the longest
    series if that is more, but at most four horizons."""
    test_steps: int = 0
    """Steps at the end of each series that are left out entirely, because they will be evaluated."""

    def __post_init__(self) -> None:
        check_transform(self.transform)
        if self.horizon < 1:
            raise InputError(f"horizon={self.horizon}: expected 1 or more")
        if self.season is not None and not (1 <= len(self.season) <= 2 and min(self.season) >= 1):
            raise InputError(f"season={self.season}: expected one or two numbers of steps, each 1 or more")
        if self.valid_steps is not None and self.valid_steps < 1:
            raise InputError(f"valid_steps={self.valid_steps}: expected 1 or more")
        if self.test_steps < 0:
            raise InputError(f"test_steps={self.test_steps}: expected 0 or more")


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The network: recurrent layers that read the series, and a head that forecasts from their state.

    Raises:
        InputError: an unknown head or distribution, or two that do not fit.
    """

    recurrent: RecurrentOptions = field(
        default_factory=lambda: RecurrentOptions(hidden_size=64, dropout=0.1),
        metadata={"help": {"bidirectional": "Not available: a forecast cannot read the future."}},
    )
    head: str = "direct"
    """direct forecasts all steps of the horizon at once; autoregressive one step after the other, by sample paths."""
    distribution: str = "quantiles"
    """The distribution of a forecast: quantiles (pinball loss), normal, student, or negative-binomial for counts."""
    head_size: int = 64
    """Hidden units of the head."""
    members: int = 1
    """Networks that are trained together on the same batches; the forecast is the mean of their quantiles."""
    series_embedding: int = 0
    """Size of a vector that is learned for each series; 0 for none."""

    def __post_init__(self) -> None:
        for name, value, known in (
            ("head", self.head, HEADS),
            ("distribution", self.distribution, tuple(DISTRIBUTIONS)),
        ):
            if value not in known:
                raise InputError(f"there is no {name} {value!r}. {nearest(value, known)}")
        if self.recurrent.bidirectional:
            raise InputError("bidirectional=True: a forecaster reads forwards only. Leave it out")
        for name, least in (("members", 1), ("head_size", 1), ("series_embedding", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name}={getattr(self, name)}: expected {least} or more")


@dataclass(frozen=True, kw_only=True)
class WindowOptions:
    """The windows of the series that are trained on.

    Raises:
        InputError: a number out of range.
    """

    context: int | None = None
    """Steps that are read before the first forecast. Default: four of the shortest season or two of the longest, from
    32 to 512."""
    linear: int | None = None
    """Last values from which a linear part of each forecast is computed; 0 for no such part. Default: two of the
    longest season for which the series are long or many enough."""
    origins: int = 16
    """Forecasts per window that are trained on, from different steps of it."""
    batch_windows: int = 32
    """Windows per update."""

    def __post_init__(self) -> None:
        for name in ("context", "origins", "batch_windows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name}={value}: expected 1 or more")
        if self.linear is not None and self.linear < 0:
            raise InputError(f"linear={self.linear}: expected 0 or more")


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """The options of `recurra evaluate` for a forecaster.

    Raises:
        InputError: a number out of range.
    """

    horizon: int | None = None
    """Steps to forecast. Default: as in training."""
    stride: int | None = None
    """Steps between the origins of forecasts. Default: the horizon."""
    by_series: bool = False
    """Also report the scores of each series."""

    def __post_init__(self) -> None:
        for name in ("horizon", "stride"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name}={value}: expected 1 or more")
