"""Tables of numbers and times: CSV and Parquet files and data frames, read through polars."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from recurra.data.series.frequency import Times
from recurra.errors import InputError, RecurraError, nearest

if TYPE_CHECKING:
    import polars

_MISSING = ["", "na", "nan", "n/a", "null", "none"]
_FORMATS = [
    *("%Y-%m-%d", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m"),
    *("%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%d %H:%M:%S%.fZ", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y%m%d"),
]
_ZONED_FORMATS = ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%z", "%Y-%m-%d %H:%M%z"]
_DELIMITERS = ",;\t"


def load_polars() -> Any:
    """Imports polars.

    Raises:
        RecurraError: it is not installed.
    """
    try:
        import polars
    except ImportError:
        raise RecurraError(
            "tables of series need polars, which is not installed: pip install 'recurra[forecast]'"
        ) from None
    return polars


@dataclass(frozen=True)
class Table:
    """A table with its name for messages.

    Args:
        name: the file.
        frame: the columns; those of a CSV file are text.
        first_line: the line of the first row; None where rows have no lines, such as in Parquet.
        decimal_comma: whether numbers in text have a decimal comma.
        time_format: the format of times in text, as strftime has it; None to recognise ISO 8601.
    """

    name: str
    frame: polars.DataFrame
    first_line: int | None = None
    decimal_comma: bool = False
    time_format: str | None = None

    def place(self, row: int) -> str:
        """Returns the file and line of a row, for messages."""
        return f"{self.name}: row {row + 1}" if self.first_line is None else f"{self.name}:{row + self.first_line}"

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.frame.columns)

    def require(self, column: str, option: str | None = None) -> None:
        """Checks that a column exists.

        Args:
            column: the name.
            option: the option with which the user named it, such as "id_column='shop'".

        Raises:
            InputError: it does not.
        """
        if column not in self.columns:
            place = self.name if option is None else f"{option}: {self.name}"
            raise InputError(f"{place}: there is no column {column!r}. {nearest(column, self.columns)}")

    def texts(self, column: str) -> list[str]:
        """Returns a column as text, "" where it is missing."""
        polars = load_polars()
        texts: list[str] = self.frame[column].cast(polars.String).fill_null("").to_list()
        return texts

    def numbers(self, column: str) -> npt.NDArray[np.float64]:
        """Returns a column as float64, NaN where it is missing.

        Raises:
            InputError: a value is not a number, or infinite; the message names the first such row.
        """
        polars = load_polars()
        values = self.frame[column]
        if values.dtype == polars.String:
            return self._parsed(column, values)
        if not values.dtype.is_numeric() and values.dtype not in (polars.Boolean, polars.Null):
            raise InputError(f"{self.name}: column {column!r} is {values.dtype}, expected numbers")
        numbers = values.cast(polars.Float64).fill_null(float("nan")).to_numpy()
        return self._finite(column, np.array(numbers, dtype=np.float64))

    def _parsed(self, column: str, values: Any) -> npt.NDArray[np.float64]:
        polars = load_polars()
        texts = values.str.strip_chars()
        plain = texts.str.replace(",", ".", literal=True) if self.decimal_comma else texts
        numbers = plain.cast(polars.Float64, strict=False)
        missing = texts.is_null() | texts.str.to_lowercase().is_in(_MISSING)
        failed = (numbers.is_null() & ~missing).to_numpy().nonzero()[0]
        if len(failed):
            row = int(failed[0])
            raise InputError(f"{self.place(row)}: {column} is {texts[row]!r}, {self._expected(texts[row])}")
        return self._finite(column, np.array(numbers.fill_null(float("nan")).to_numpy(), dtype=np.float64))

    def _expected(self, text: str) -> str:
        if "," in text and not self.decimal_comma:
            return "expected a number such as 1234.5: remove thousands separators, or set --decimal-comma"
        if re.search(r"\d[ '_.]\d{3}(\D|$)", text):
            return "expected a number without thousands separators"
        return "expected a number, or nothing for a missing value"

    def _finite(self, column: str, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        infinite = np.flatnonzero(np.isinf(numbers))
        if len(infinite):
            row = int(infinite[0])
            raise InputError(f"{self.place(row)}: {column} is {numbers[row]}, expected a finite number. Leave it empty")
        return numbers

    def times(self, column: str) -> tuple[Times, bool]:
        """Returns a column as times, int64, and whether they are timestamps; times with an offset are in UTC.

        Raises:
            InputError: a value is neither; the message names the first such row.
        """
        polars = load_polars()
        values = self.frame[column]
        self._all_present(column, values)
        if values.dtype == polars.String:
            return self._parsed_times(column, values.str.strip_chars())
        if values.dtype.is_integer():
            return values.cast(polars.Int64).to_numpy(), False
        if values.dtype.is_float() and bool((values == values.floor()).all()):
            return values.cast(polars.Int64).to_numpy(), False
        if values.dtype.is_temporal():
            return values.cast(polars.Datetime("us")).to_physical().to_numpy(), True
        raise InputError(f"{self.name}: column {column!r} is {values.dtype}, expected timestamps or whole numbers")

    def _all_present(self, column: str, values: Any) -> None:
        missing = values.is_null().to_numpy().nonzero()[0]
        if len(missing):
            raise InputError(f"{self.place(int(missing[0]))}: {column} is empty, expected a time")

    def _parsed_times(self, column: str, texts: Any) -> tuple[Times, bool]:
        polars = load_polars()
        whole = texts.cast(polars.Int64, strict=False)
        if self.time_format is None and not whole.null_count():
            return whole.to_numpy(), False
        fewest, failed = len(texts) + 1, 0
        for name in [self.time_format] if self.time_format else [*_FORMATS, *_ZONED_FORMATS]:
            day_only = not any(part in name for part in ("%H", "%M", "%I"))
            parsed = texts.str.to_date(name, strict=False) if day_only else texts.str.to_datetime(name, strict=False)
            if not parsed.null_count():
                return parsed.cast(polars.Datetime("us")).to_physical().to_numpy(), True
            if parsed.null_count() < fewest:
                fewest, failed = parsed.null_count(), int(parsed.is_null().to_numpy().nonzero()[0][0])
        if self.time_format:
            raise InputError(
                f"time_format={self.time_format!r}: {self.place(failed)}: {column} is {texts[failed]!r}, which has "
                "another format"
            )
        raise InputError(
            f"{self.place(failed)}: {column} is {texts[failed]!r}, expected a whole number, or a time such as "
            "2024-01-31 or 2024-01-31T13:00:00+01:00. Other formats: --time-format"
        )


def read_table(path: Path, *, decimal_comma: bool = False, time_format: str | None = None) -> Table:
    """Reads a CSV file with a header, its columns separated by commas, semicolons or tabs, or a Parquet file.

    Raises:
        InputError: the file does not exist, or is not such a table.
        RecurraError: polars is not installed.
    """
    polars = load_polars()
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return Table(str(path), polars.read_parquet(path))
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        if not header.strip():
            raise InputError(f"{path}: is empty, expected a table with a header")
        delimiter = max(_DELIMITERS, key=header.count)
        frame = polars.read_csv(path, separator=delimiter, infer_schema=False)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, polars.exceptions.PolarsError) as error:
        raise InputError(f"{path}: is not a table: {str(error).splitlines()[0]}") from None
    if not len(frame):
        raise InputError(f"{path}: has a header and no rows")
    return Table(str(path), frame, 2, decimal_comma, time_format)


def frame_table(frame: Any, name: str = "the frame") -> Table:
    """Returns a data frame of polars or pandas, or a series of pandas, as a table.

    A named index of pandas becomes columns, and an index of times without a name the column `ds`.
    """
    polars = load_polars()
    if isinstance(frame, polars.DataFrame):
        return Table(name, frame)
    if isinstance(frame, polars.LazyFrame):
        return Table(name, frame.collect())
    if hasattr(frame, "reset_index"):
        frame = _with_index(frame)
        columns = {str(column): _plain(frame[column]) for column in frame.columns}
        return Table(name, polars.DataFrame(columns))
    raise InputError(f"{type(frame).__name__} is not a data frame, expected one of polars or pandas")


def _with_index(frame: Any) -> Any:
    """Returns a frame of pandas whose index, if it means anything, is among the columns."""
    if hasattr(frame, "to_frame"):
        frame = frame.to_frame(frame.name or "y")
    if type(frame.index).__name__ in ("DatetimeIndex", "PeriodIndex") and frame.index.name is None:
        frame = frame.rename_axis("ds")
    return frame.reset_index() if any(level is not None for level in frame.index.names) else frame


def _plain(column: Any) -> Any:
    """Returns a column of pandas as an array that polars reads without pyarrow."""
    if getattr(column.dtype, "tz", None) is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    if str(column.dtype).startswith("period"):
        column = column.dt.to_timestamp()
    if column.dtype.kind in "biufM":
        return column.to_numpy()
    return [None if value is None or value != value else str(value) for value in column.tolist()]
