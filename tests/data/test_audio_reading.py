"""Segments, blocks and resampling: every way to read a file gives the same samples."""

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.audio import Resampler, audio_blocks, audio_info, libraries, read_audio
from recurra.errors import InputError, RecurraError

RATES = st.sampled_from([4000, 8000, 11025, 16000, 22050, 44100, 48000])
SIGNAL = np.random.default_rng(0).uniform(-0.5, 0.5, 30000).astype(np.float32)


def speechlike(count, rate):
    time = np.arange(count) / rate
    return (0.4 * np.sin(2 * np.pi * (200 + 150 * np.sin(3 * time)) * time)).astype(np.float32)


def in_pieces(samples, sizes):
    """The samples in pieces of these sizes, over and over; sizes may be 0."""
    place, turn = 0, 0
    while place < len(samples):
        size = sizes[turn % len(sizes)]
        yield samples[place : place + size]
        place, turn = place + size, turn + 1


@given(RATES, RATES, st.lists(st.integers(0, 5000), min_size=1, max_size=20).filter(any), st.integers(1, 30000))
def test_resampling_in_pieces_equals_the_whole(in_rate, out_rate, sizes, count):
    whole, divided = Resampler(in_rate, out_rate), Resampler(in_rate, out_rate)
    expected = np.concatenate([whole.accept(SIGNAL[:count]), whole.finish()])
    pieces = [divided.accept(piece) for piece in in_pieces(SIGNAL[:count], sizes)]
    assert np.array_equal(np.concatenate([*pieces, divided.finish()]), expected)
    assert np.array_equal(expected, soxr.resample(SIGNAL[:count], in_rate, out_rate, quality="HQ"))
    assert abs(len(expected) - count * out_rate / in_rate) <= 0.5 + 1e-9


def test_what_resampling_holds_back_is_bounded():
    for in_rate in (8000, 16000, 44100, 48000):
        for out_rate in (8000, 16000):
            resampler, returned = Resampler(in_rate, out_rate), 0
            for place in range(0, len(SIGNAL), 100):
                returned += len(resampler.accept(SIGNAL[place : place + 100]))
                assert (place + 100) / in_rate - returned / out_rate < 0.25


def test_a_signal_without_samples_is_resampled_to_none():
    resampler = Resampler(8000, 16000)
    assert len(resampler.accept(SIGNAL[:0])) == len(resampler.finish()) == 0


def test_equal_rates_change_nothing():
    resampler = Resampler(16000, 16000)
    assert np.array_equal(resampler.accept(SIGNAL), SIGNAL)
    assert len(resampler.finish()) == 0


def test_integers_are_converted():
    resampler = Resampler(16000, 16000)
    assert resampler.accept(np.array([1, 2])).dtype == np.float32


@pytest.mark.parametrize("rates", [(0, 16000), (16000, 3), (10**7, 16000)])
def test_rates_out_of_range_are_refused(rates):
    with pytest.raises(InputError, match="expected a sampling rate of 1,000 to 1,000,000 Hz"):
        Resampler(*rates)


FORMS = {
    "wav": {"format": "WAV", "subtype": "PCM_16"},
    "flac": {"format": "FLAC"},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {"format": "MP3"},
    "gsm": {"format": "WAV", "subtype": "GSM610"},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_segment_is_the_slice_of_the_whole(form, rate, tmp_path):
    path = tmp_path / "x"
    soundfile.write(path, speechlike(80000, 8000), 8000, **FORMS[form])
    whole, _ = read_audio(path)
    assert audio_info(path).rate == 8000
    for start, end in [(0, 0.0001), (0.125, 0.25), (3.001, 7.9), (9.5, 10), (5, None), (None, 2), (1, 10.4)]:
        first, last = round((start or 0) * 8000), None if end is None else max(1, round(end * 8000))
        resampler = Resampler(8000, rate)
        expected = np.concatenate([resampler.accept(whole[first:last]), resampler.finish()])
        segment, segment_rate = read_audio(path, rate=rate, start=start, end=end)
        assert segment_rate == rate
        assert np.array_equal(segment, expected), (start, end)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("seconds", [0.0001, 0.0111, 0.7, 100])
def test_blocks_are_the_whole(form, rate, seconds, tmp_path):
    path = tmp_path / "x"
    soundfile.write(path, speechlike(9000, 8000), 8000, **FORMS[form])
    blocks = list(audio_blocks(path, rate=rate, seconds=seconds))
    assert all(len(block) > 0 for block in blocks)
    assert np.array_equal(np.concatenate(blocks), read_audio(path, rate=rate)[0])


def test_channels_are_mixed_down(tmp_path):
    channels = np.stack([SIGNAL, -SIGNAL, np.zeros_like(SIGNAL), SIGNAL], axis=1)
    soundfile.write(tmp_path / "x.wav", channels, 16000, subtype="FLOAT")
    assert np.allclose(read_audio(tmp_path / "x.wav")[0], SIGNAL / 4, atol=1e-7)
    assert audio_info(tmp_path / "x.wav").channels == 4


def test_a_missing_library_is_named(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(libraries, "import_module", missing)
    for library in (libraries.soundfile, libraries.soxr, libraries.kaldi_native_fbank):
        with pytest.raises(RecurraError, match=r"not installed: pip install 'recurra\[speech\]'"):
            library()

    def broken(name):
        raise OSError("libsndfile.so: cannot open shared object file")

    monkeypatch.setattr(libraries, "import_module", broken)
    with pytest.raises(RecurraError, match="audio files are read with soundfile, which cannot be loaded: libsndfile"):
        libraries.soundfile()


def test_recordings_are_read(data):
    paths = sorted((data / "fsdd" / "recordings").glob("7_*_1.wav"))
    assert len(paths) == 5
    for path in paths:
        samples, rate = read_audio(path)
        assert rate == 8000
        assert 0.1 < len(samples) / rate < 2
        assert np.array_equal(samples, soundfile.read(path, dtype="float32")[0])
