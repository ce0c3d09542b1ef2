"""Tables of series: what is read, and one line for everything that cannot be."""

import sys

import numpy as np
import polars as pl
import pytest

from recurra.data.series.layout import find_layout
from recurra.data.series.reading import read_series
from recurra.data.series.tables import frame_table, read_table
from recurra.errors import InputError, RecurraError

LONG = "unique_id,ds,y\na,2024-01-01,1\na,2024-01-02,2\na,2024-01-03,3\n"


def layout_of(table, **options):
    roles = {role: options.pop(role, ()) for role in ("past", "known", "static")}
    defaults = {"id_column": None, "time_column": None, "targets": (), "together": False, "categorical": ()}
    return find_layout(table, **{**defaults, **options}, roles=roles).fitted([table])


@pytest.fixture
def read(tmp_path):
    def read_text(text, frequency=None, name="series.csv", reading=None, **options):
        path = tmp_path / name
        path.write_text(text)
        table = read_table(path, **(reading or {}))
        return read_series([table], layout_of(table, **options), frequency)

    return read_text


def test_long_and_wide_tables_are_the_same_series(read):
    long = read("unique_id,ds,y\na,1,1\na,2,2\na,3,3\nb,1,4\nb,2,5\nb,3,6\n")
    wide = read("t,a,b\n1,1,4\n2,2,5\n3,3,6\n")
    for series in (long, wide):
        assert series.ids == ["a", "b"]
        assert series.values[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
        assert series.frequency.name == "1"


def test_wide_columns_together_are_channels(read):
    series = read("t,a,b\n1,1,4\n2,2,5\n", together=True)
    assert series.ids == ["all"]
    assert series.channels == ["a", "b"]
    assert series.values.tolist() == [[1, 4], [2, 5]]


def test_gaps_and_missing_values_are_missing(read):
    series = read("ds,y\n1,1\n2,\n3,NA\n6,4\n7,5\n")
    assert series.lengths.tolist() == [7]
    assert np.isnan(series.values[:, 0]).tolist() == [False, True, True, True, True, False, False]
    assert series.ends.tolist() == [7]


def test_unsorted_and_returning_series_are_sorted(read):
    series = read("unique_id,ds,y\na,3,30\nb,1,1\na,1,10\nb,2,2\na,2,20\n")
    assert series.ids == ["a", "b"]
    assert series.values[:, 0].tolist() == [10, 20, 30, 1, 2]
    assert "sorted" in series.notes[0]


def test_an_id_that_returns_in_order_needs_no_note(read):
    series = read("unique_id,ds,y\na,1,10\nb,1,1\na,2,20\nb,2,2\n")
    assert series.values[:, 0].tolist() == [10, 20, 1, 2]
    assert series.notes == []


def test_series_without_values_are_left_out(read):
    series = read("t,a,b\n1,1,\n2,2,\n3,3,\n")
    assert series.ids == ["a"]
    assert series.notes == ["1 series without any value left out: b"]


def test_spring_has_a_missing_hour(read):
    hours = [f"2024-03-31 {hour:02}:00" for hour in (0, 1, 3, 4, 5)]
    series = read("ds,y\n" + "".join(f"{hour},1\n" for hour in hours))
    assert np.isnan(series.values[:, 0]).tolist() == [False, False, True, False, False, False]


def test_offsets_make_every_hour_distinct(read):
    texts = ["2024-10-27T01:00:00+02:00", "2024-10-27T02:00:00+02:00", "2024-10-27T02:00:00+01:00"]
    series = read("ds,y\n" + "".join(f"{text},1\n" for text in texts))
    assert series.lengths.tolist() == [3]
    assert series.frequency.name == "h"


def test_covariates_are_standardised_and_categories_numbered(read):
    text = "ds,y,temp,day,shop\n1,1,10,mon,x\n2,2,20,tue,x\n3,3,30,mon,x\n4,,40,sun,x\n"
    series = read(text, past=["temp"], known=["day"], static=["shop"], categorical=["day", "shop"])
    assert series.past[:, 0].tolist() == pytest.approx([-1.342, -0.447, 0.447, 1.342], abs=1e-3)
    assert series.known[:, 0].tolist() == [1, 3, 1, 2]
    assert series.known[:, 1].tolist() == [1, 1, 1, 1]
    assert series.ends.tolist() == [3]  # the fourth row is the future


def test_semicolons_and_decimal_commas(read):
    series = read("ds;y\n1;1,5\n2;2,5\n", reading={"decimal_comma": True})
    assert series.values[:, 0].tolist() == [1.5, 2.5]


def test_other_formats_of_times(read):
    series = read("ds,y\n31.01.2024,1\n01.02.2024,2\n", reading={"time_format": "%d.%m.%Y"})
    assert series.frequency.name == "D"
    assert read("Month,n\n1949-01,112\n1949-02,118\n1949-03,132\n").frequency.name == "M"


def test_parquet_and_frames_are_read_as_csv(tmp_path):
    frame = pl.DataFrame({"unique_id": ["a"] * 3, "ds": [1, 2, 3], "y": [1.0, None, 3.0]})
    frame.write_parquet(tmp_path / "a.parquet")
    pandas = pytest.importorskip("pandas")
    times = pandas.date_range("2024-01-01", periods=3, freq="h", tz="Europe/Berlin")
    other = pandas.DataFrame({"unique_id": "a", "ds": times, "y": [1.0, None, 3.0]})
    for table, name in (
        (read_table(tmp_path / "a.parquet"), "1"),
        (frame_table(frame), "1"),
        (frame_table(frame.lazy()), "1"),
        (frame_table(other), "h"),
    ):
        series = read_series([table], layout_of(table))
        assert series.frequency.name == name
        assert np.isnan(series.values[:, 0]).tolist() == [False, True, False]


def test_series_of_pandas_have_their_index_as_times():
    pandas = pytest.importorskip("pandas")
    index = pandas.period_range("2024-01", periods=4, freq="M")
    for series in (pandas.Series([1.0, 2, 3, 4], index=index), pandas.Series([1.0, 2, 3, 4], index.to_timestamp())):
        table = frame_table(series)
        read = read_series([table], layout_of(table))
        assert read.frequency.name == "M"
        assert read.values[:, 0].tolist() == [1, 2, 3, 4]
    panel = pandas.MultiIndex.from_product([["a", "b"], [1, 2, 3]], names=["unique_id", "ds"])
    table = frame_table(pandas.DataFrame({"y": range(6)}, index=panel))
    assert read_series([table], layout_of(table)).ids == ["a", "b"]


def test_a_million_rows_take_little_memory(tmp_path):
    count = 1_000_000
    pl.DataFrame({"unique_id": ["a"] * count, "ds": np.arange(count), "y": np.ones(count)}).write_csv(
        tmp_path / "m.csv"
    )
    table = read_table(tmp_path / "m.csv")
    series = read_series([table], layout_of(table))
    assert series.lengths.tolist() == [count]
    assert sum(array.nbytes for array in (series.values, series.past, series.known)) == 8 * count


BAD = {
    "ds,y\n1,1\n1,2\n": r"series.csv:3: series 'y' has 1 twice, first at .*series.csv:2. Remove one$",
    "ds,y\n2024-10-27 01:00,1\n2024-10-27 02:00,1\n2024-10-27 02:00,1\n": "series.csv:4: .*twice.*daylight-saving",
    "ds,y\n1,1\n2,x\n": "series.csv:3: y is 'x', expected a number, or nothing",
    "ds,y\n1,1\n2,inf\n": "series.csv:3: y is inf, expected a finite number",
    'ds,y\n1,1\n2,"1,234"\n': "series.csv:3: y is '1,234', .*thousands separators, or set --decimal-comma",
    "ds;y\n1;1\n2;1,5\n": "series.csv:3: y is '1,5', expected .*decimal-comma",
    "ds,y\n1,1\n2,1 234\n": "series.csv:3: y is '1 234', expected a number without thousands separators",
    "ds,y\n2024-01-01,1\n2024-01-0x,2\n": "series.csv:3: ds is '2024-01-0x', expected a whole number, or a time",
    "ds,y\n1,1\n,2\n": "series.csv:3: ds is empty, expected a time",
    "ds,y\n1,\n2,\n": "series.csv: no series has a value in y",
    "ds,y\n": "series.csv: has a header and no rows",
    "": "series.csv: is empty, expected a table",
    "ds\n1\n": "series.csv: no column of values",
    "unique_id,ds,z\na,1,1\n": "there is no column 'y' of values. Name it: --target",
    "ds,y\n2024-01-01 00:00,1\n2024-01-02 00:00,1\n2024-01-03 00:07,1\n2024-01-04 00:07,1\n": "csv:4: .*no regular",
    "ds,y\n2024-01-01,1\n": "one value only, so that the frequency is unknown. Set --freq",
}


@pytest.mark.parametrize("text", BAD)
def test_what_cannot_be_read_is_named(read, text):
    with pytest.raises(InputError, match=BAD[text]):
        read(text)


def test_a_frequency_that_does_not_fit_is_refused(read):
    text = "ds,y\n2024-01-01 00:00,1\n2024-01-01 01:30,1\n2024-01-01 03:00,1\n"
    with pytest.raises(
        InputError, match="series.csv:3: 2024-01-01T01:30|series.csv:3: 2024-01-01 01:30.*not on the grid"
    ):
        read(text, "h")
    with pytest.raises(InputError, match="only 0.0"):
        read("ds,y\n2024-01-01,1\n2024-01-09,1\n2024-02-01,1\n", "s")
    with pytest.raises(InputError, match="freq=h: expected a whole number"):
        read("ds,y\n1,1\n2,2\n", "h")


def test_columns_that_are_named_must_exist(read):
    with pytest.raises(InputError, match=r"target=\['sales'\]: .*series.csv: there is no column 'sales'"):
        read(LONG, targets=["sales"])
    with pytest.raises(InputError, match="time_column='when': .*there is no column 'when'"):
        read(LONG, time_column="when")
    with pytest.raises(InputError, match="column 'y' has two roles"):
        read(LONG, past=["y"], targets=["y"])
    with pytest.raises(InputError, match="categorical=.*'day' is in none of"):
        read(LONG, categorical=["day"])


def test_a_static_covariate_that_changes_is_refused(read):
    with pytest.raises(InputError, match="static covariate 'shop' changes within series 'y'"):
        read("ds,y,shop\n1,1,1\n2,2,2\n", static=["shop"])


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no.csv: cannot be read"):
        read_table(tmp_path / "no.csv")
    with pytest.raises(InputError, match="list is not a data frame"):
        frame_table([1])


def test_without_polars_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(RecurraError, match=r"need polars, which is not installed: pip install 'recurra\[forecast\]'"):
        read_table(tmp_path / "series.csv")
