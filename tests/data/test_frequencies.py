"""Grids of time: names, positions and times as inverses, and frequencies found from times."""

import numpy as np
import pytest

from recurra.data.series.calendar import calendar, calendar_features, seen_features
from recurra.data.series.frequency import Frequency, find_frequency, parse_frequency
from recurra.data.series.seasons import seasons_of
from recurra.errors import InputError

NAMES = ["s", "15min", "h", "6h", "D", "B", "W", "2W", "M", "Q", "Y"]


def micro(*texts):
    return np.array(texts, dtype="M8[us]").astype(np.int64)


def grid(name, first, count):
    frequency = parse_frequency(name, timed=True)
    times = frequency.times(np.arange(count), int(micro(first)[0]))
    return frequency.anchored(times), times


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("first", ["2019-12-31", "2020-02-28", "2021-01-04T13:00"])
def test_positions_and_times_are_inverse(name, first):
    frequency, times = grid(name, first, 60)
    if name == "B" and np.datetime64(first, "D").astype(int) % 7 in (2, 3):
        pytest.skip("a weekend is on no grid of business days")
    positions, fits = frequency.positions(times, int(times[0]))
    assert fits.all()
    assert positions.tolist() == list(range(60))
    assert frequency.name == name
    middle = frequency.times(np.arange(-5, 5), int(times[20]))
    assert middle.tolist() == times[15:25].tolist()


@pytest.mark.parametrize("name", NAMES)
def test_the_frequency_is_found_with_gaps(name):
    _, times = grid(name, "2018-01-31", 100)
    kept = np.delete(times, [3, 4, 40, 71])
    assert find_frequency(kept, np.array([0]), timed=True).name == name


def test_month_ends_stay_at_month_ends():
    _, times = grid("M", "2020-01-31", 4)
    assert times.tolist() == micro("2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30").tolist()


def test_the_28th_is_no_month_end():
    frequency, times = grid("M", "2021-01-28", 14)
    # Counted from the 28th of February, which is the last day of its month.
    assert frequency.times(np.arange(3), int(times[1])).tolist() == times[1:4].tolist()


def test_times_that_are_off_the_grid_do_not_fit():
    frequency = parse_frequency("h", timed=True)
    times = micro("2020-01-01T00", "2020-01-01T01:30")
    assert frequency.positions(times, int(times[0]))[1].tolist() == [True, False]
    monthly = parse_frequency("M", timed=True)
    times = micro("2020-01-15", "2020-02-16")
    assert monthly.positions(times, int(times[0]))[1].tolist() == [True, False]


def test_series_with_different_starts_have_one_frequency():
    times = np.array([1, 3, 5, 2, 4, 8])
    assert find_frequency(times, np.array([0, 3]), timed=False) == Frequency("step", 2)


def test_one_time_that_is_off_is_no_frequency():
    times = np.arange(0, 3_600_000_000 * 100, 3_600_000_000)
    times[50] += 7_000_000
    assert find_frequency(times, np.array([0]), timed=True) is None


def test_other_spellings():
    for name, expected in {"H": "h", "MS": "M", "ME": "M", "30T": "30min", "QE": "Q"}.items():
        assert parse_frequency(name, timed=True).name == expected


@pytest.mark.parametrize(("name", "timed"), [("fortnight", True), ("h", False), ("0h", True), ("", True), ("2B", True)])
def test_unknown_names_are_refused(name, timed):
    with pytest.raises(InputError, match=f"freq={name}: expected"):
        parse_frequency(name, timed=timed)


def test_calendar_features_are_periodic():
    frequency = parse_frequency("h", timed=True)
    assert calendar_features(frequency)[:2] == ["hour", "weekday"]
    hours = micro("2024-01-01T05", "2024-01-02T05", "2024-01-08T05", "2024-01-01T06")
    features = calendar(hours, calendar_features(frequency))
    circles = len(calendar_features(frequency))
    assert np.allclose(features[0, [0, circles]], features[1, [0, circles]])  # the hour
    assert np.allclose(features[0, [1, circles + 1]], features[2, [1, circles + 1]], atol=1e-6)  # the weekday
    assert not np.allclose(features[0], features[3])
    assert np.allclose(features[:, :circles] ** 2 + features[:, circles:] ** 2, 1)


def test_a_circle_that_was_not_gone_around_twice_is_no_feature():
    frequency = parse_frequency("D", timed=True)
    year, three = micro("2020-01-01", "2020-12-31"), micro("2020-01-01", "2022-12-31")
    assert seen_features(frequency, year) == ("weekday", "month day")
    assert seen_features(frequency, three) == ("weekday", "month day", "year day")


def waves(period, count=400, noise=0.3, second=None):
    t, rng = np.arange(count), np.random.default_rng(period)
    wave = 5 * np.sin(2 * np.pi * t / period) * (1 if second is None else 1 + 0.8 * (t // period % second == 0))
    return wave + 0.05 * t + noise * rng.normal(size=count)


def test_seasons_of_timestamps_follow_from_the_frequency():
    for name, seasons in {"h": [24, 168], "D": [7], "W": [52], "M": [12], "Q": [4], "B": [5], "15min": [96]}.items():
        assert seasons_of(parse_frequency(name, timed=True), [np.zeros(400)]) == seasons
    assert seasons_of(parse_frequency("W", timed=True), [np.zeros(60)]) == [1]  # shorter than two years


def test_seasons_of_integers_are_estimated():
    step = Frequency("step", 1)
    assert seasons_of(step, [waves(12), waves(12)]) == [12]
    assert seasons_of(step, [waves(7)]) == [7]
    assert seasons_of(step, [waves(6, 700, second=7)]) == [6, 42]
    assert seasons_of(step, [np.random.default_rng(0).normal(size=300)]) == [1]
    assert seasons_of(step, [np.random.default_rng(0).normal(size=300).cumsum()]) == [1]
    assert seasons_of(step, [np.ones(100), np.zeros(3)]) == [1]
