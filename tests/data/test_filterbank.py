"""Log-mel energies against a float64 loop written from Kaldi's definition; streams against the whole, to the bit."""

import os
import resource

import kaldi_native_fbank
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.audio import (
    DeltaStream,
    FeatureExtractor,
    FilterbankOptions,
    FilterbankStream,
    deltas,
    filterbank,
)
from recurra.errors import InputError

NOISE = np.random.default_rng(0).normal(0, 0.1, 20000).astype(np.float32)
SIZES = st.lists(st.integers(0, 3000), min_size=1, max_size=20).filter(any)


def by_hand(samples, options):
    """Frame by frame in float64: mean removed, pre-emphasis, Povey window, power spectrum, triangles in mel, log."""

    def mel(frequency):
        return 1127 * np.log(1 + frequency / 700)

    length, shift = (int(options.rate * ms / 1000) for ms in (options.frame_ms, options.shift_ms))
    padded = 2 ** int(np.ceil(np.log2(length)))
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / (length - 1))) ** 0.85
    high = options.high if options.high > 0 else options.rate / 2 + options.high
    edges = np.linspace(mel(options.low), mel(high), options.mels + 2)
    frequencies = mel(np.arange(padded // 2) * options.rate / padded)
    rows = []
    for start in range(0, len(samples) - length + 1, shift):
        frame = samples[start : start + length].astype(float) * 32768
        frame -= frame.mean()
        frame -= 0.97 * np.concatenate([frame[:1], frame[:-1]])
        power = np.abs(np.fft.rfft(frame * window, padded)) ** 2
        row = []
        for left, centre, right in zip(edges, edges[1:], edges[2:], strict=False):
            rise, fall = (frequencies - left) / (centre - left), (right - frequencies) / (right - centre)
            row.append(np.maximum(0, np.minimum(rise, fall)) @ power[:-1])
        rows.append(np.log(np.maximum(row, np.finfo(np.float32).eps)))
    return np.array(rows)


@pytest.mark.parametrize(
    "options",
    [
        FilterbankOptions(),
        FilterbankOptions(rate=8000, mels=23),
        FilterbankOptions(mels=80, low=0, high=7600),
        FilterbankOptions(high=-400, frame_ms=32, shift_ms=20),
        FilterbankOptions(rate=44100, mels=64, frame_ms=20, shift_ms=7.5),
    ],
    ids=str,
)
def test_energies_equal_kaldis_definition(options):
    expected = by_hand(NOISE, options)
    energies = filterbank(NOISE, options)
    assert energies.dtype == np.float32
    assert len(energies) > 30
    np.testing.assert_allclose(energies, expected, rtol=0, atol=5e-3)


def test_silence_has_the_lowest_energy():
    energies = filterbank(np.zeros(1000, np.float32), FilterbankOptions())
    assert (energies == np.log(np.finfo(np.float32).eps)).all()


def test_a_constant_does_not_matter():
    shifted = filterbank(NOISE + np.float32(0.25), FilterbankOptions())
    np.testing.assert_allclose(shifted, filterbank(NOISE, FilterbankOptions()), atol=2e-2)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_frames_are_counted_as_they_are_computed(rate):
    options = FilterbankOptions(rate=rate, mels=20)
    for count in (0, 1, options.frame - 1, options.frame, options.frame + options.shift - 1, 12345):
        assert filterbank(NOISE[:count], options).shape == (options.frames(count), 20)
    assert options.frames(options.frame) == 1
    assert options.frames(options.frame - 1) == 0


@given(SIZES)
def test_a_stream_equals_the_whole(sizes):
    options = FilterbankOptions(rate=8000)
    stream, pieces, place, turn = FilterbankStream(options), [], 0, 0
    while place < len(NOISE):
        size = sizes[turn % len(sizes)]
        pieces.append(stream.accept(NOISE[place : place + size]))
        place, turn = place + size, turn + 1
        # Every frame that is complete is returned at once.
        assert sum(map(len, pieces)) == options.frames(min(place, len(NOISE)))
    assert np.array_equal(np.concatenate([*pieces, stream.finish()]), filterbank(NOISE, options))


def test_blocks_inside_do_not_show():
    long = np.tile(NOISE, 10)
    options = FilterbankOptions(rate=8000)
    stream = FilterbankStream(options)
    pieces = [stream.accept(long[start : start + 999]) for start in range(0, len(long), 999)]
    assert np.array_equal(np.concatenate(pieces), filterbank(long, options))


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="the memory of this process is not known")
def test_a_stream_of_an_hour_uses_constant_memory():
    """A frame per 2 ms: 1.8 million frames, which would fill more than 100 MB."""

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    stream = FilterbankStream(FilterbankOptions(rate=1000, mels=4, frame_ms=32, shift_ms=2))
    block = NOISE[:10000]
    stream.accept(block)
    before, count = resident(), 0
    for _ in range(360):
        count += len(stream.accept(block))
    assert count == 1_800_000
    assert resident() - before < 20e6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 10}, "rate=10 Hz, expected a sampling rate"),
        ({"mels": 2}, "mels=2, expected 3 or more"),
        ({"mels": 200}, "mels=200 are too many for rate=16000 and frame_ms=25.0: a filter contains no frequency"),
        ({"frame_ms": 0}, "frame_ms=0, expected at least two samples at rate=16000"),
        ({"shift_ms": 0.01}, "shift_ms=0.01, expected at least two samples"),
        ({"shift_ms": float("nan")}, "shift_ms=nan"),
        ({"low": -1}, "low=-1 and high=0.0, expected 0 ≤ low < high ≤ 8000 Hz"),
        ({"high": 9000}, "low=20.0 and high=9000, expected"),
        ({"high": -8000}, "low=20.0 and high=-8000, expected"),
        ({"low": 4000, "high": 3000}, "low=4000 and high=3000, expected"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        FilterbankOptions(**options)


@pytest.mark.parametrize("rate", [8000, 12000, 16000])
def test_filters_are_too_many_where_kaldi_says_so(rate):
    """The newest library refuses what the options refuse; older ones compute empty filters."""
    refused = 0
    for mels in range(60, 200):
        settings = kaldi_native_fbank.FbankOptions()
        settings.frame_opts.samp_freq, settings.mel_opts.num_bins = rate, mels
        try:
            kaldi_native_fbank.OnlineFbank(settings)
        except ValueError:
            refused += 1
            with pytest.raises(InputError, match="too many"):
                FilterbankOptions(rate=rate, mels=mels)
        else:
            FilterbankOptions(rate=rate, mels=mels)
    assert 0 < refused < 140


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 50])
@pytest.mark.parametrize("window", [1, 2, 3])
def test_deltas_equal_kaldis(count, window):
    features = np.random.default_rng(count).normal(size=(count, 7)).astype(np.float32)
    settings = kaldi_native_fbank.DeltaOptions()
    settings.order, settings.window = 2, window
    expected = kaldi_native_fbank.compute_deltas(settings, features)
    np.testing.assert_allclose(deltas(features, window), expected, atol=1e-5)


def test_deltas_of_a_line_are_its_slope():
    line = np.arange(20, dtype=np.float32)[:, None] * [1, -3]
    inner = deltas(line)[4:-4]
    np.testing.assert_allclose(inner[:, 2:4], np.tile([1, -3], (12, 1)), rtol=1e-6)
    np.testing.assert_allclose(inner[:, 4:], 0, atol=1e-6)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=9).filter(any), st.integers(0, 40), st.integers(1, 3))
def test_streamed_deltas_equal_the_whole(sizes, count, window):
    features = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    stream, pieces, place, turn = DeltaStream(window), [np.zeros((0, 9), np.float32)], 0, 0
    while place < count:
        size = sizes[turn % len(sizes)]
        pieces.append(stream.accept(features[place : place + size]))
        place, turn = place + size, turn + 1
        assert sum(map(len, pieces)) == max(0, min(place, count) - 2 * window)  # the delay
    if count:
        pieces.append(stream.finish())
    assert np.array_equal(np.concatenate(pieces), deltas(features, window))


def test_a_stream_of_deltas_may_be_empty():
    stream = DeltaStream()
    assert stream.finish().shape == (0, 0)
    assert stream.accept(np.zeros((0, 5))).shape == (0, 15)
    with pytest.raises(InputError, match="window=0, expected 1 or more"):
        DeltaStream(0)


@given(SIZES, st.sampled_from([8000, 11025, 16000]), st.sampled_from([0, 2]))
def test_a_stream_of_features_equals_the_whole(sizes, rate, window):
    extractor = FeatureExtractor(filterbank=FilterbankOptions(rate=8000, mels=20), delta_window=window)
    stream, pieces, place, turn = extractor.stream(rate), [], 0, 0
    while place < len(NOISE):
        size = sizes[turn % len(sizes)]
        pieces.append(stream.accept(NOISE[place : place + size]))
        place, turn = place + size, turn + 1
    whole = extractor.of_samples(NOISE, rate)
    assert whole.shape[1] == extractor.width == (60 if window else 20)
    assert len(whole) > 80
    assert np.array_equal(np.concatenate([*pieces, stream.finish()]), whole)


def test_audio_shorter_than_a_frame_has_no_features():
    for window in (0, 2):
        extractor = FeatureExtractor(delta_window=window)
        assert extractor.of_samples(NOISE[:100], 16000).shape == (0, extractor.width)
        assert extractor.of_samples(NOISE[:0], 8000).shape == (0, extractor.width)


def test_features_of_files_get_deltas_alone():
    features = np.random.default_rng(0).normal(size=(9, 4))
    assert FeatureExtractor().of_features(features).shape == (9, 4)
    assert np.array_equal(FeatureExtractor(delta_window=2).of_features(features), deltas(features))
