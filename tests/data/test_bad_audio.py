"""Audio files of all kinds: each gives the right samples, or one line that names the file and the problem."""

import os
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile

from recurra.data.audio import audio_blocks, audio_info, read_audio
from recurra.errors import InputError

RATE = 8000
SAMPLES = (0.5 * np.sin(0.05 * np.arange(4000)) * np.linspace(0.2, 1, 4000)).astype(np.float32)
TEN_HOURS = 36000


def wav(data, *, bits=16, channels=1, rate=RATE, form=1, claimed=None):
    """A WAV file byte by byte; `claimed` is the size of its data according to its header."""
    width = bits // 8
    claimed = len(data) if claimed is None else claimed
    head = struct.pack("<HHIIHH", form, channels, rate, rate * channels * width, channels * width, bits)
    return b"".join(
        [
            *(b"RIFF", struct.pack("<I", min(36 + claimed, 2**32 - 1)), b"WAVE", b"fmt ", struct.pack("<I", 16), head),
            *(b"data", struct.pack("<I", claimed), data),
        ]
    )


def pcm16(samples=SAMPLES):
    return np.round(samples * 32768).astype("<i2").tobytes()


def encoded(path, samples=SAMPLES, rate=RATE, **options):
    soundfile.write(path, samples, rate, **options)
    return path.read_bytes()


def flac(folder, length):
    """A FLAC file whose header claims a number of samples; 0 stands for unknown."""
    content = bytearray(encoded(folder / "whole.flac"))
    fields = int.from_bytes(content[18:26], "big")
    content[18:26] = (fields >> 36 << 36 | length).to_bytes(8, "big")
    return bytes(content)


def spread(values):
    """The samples in several channels, channel c times values[c]."""
    return SAMPLES[:, None] * np.array(values, np.float32)


# What a file contains: bytes, and the samples that it stands for.
READ = {
    "8-bit": lambda d: (wav((np.round(SAMPLES * 128) + 128).astype(np.uint8).tobytes(), bits=8), 1 / 128),
    "16-bit": lambda d: (wav(pcm16()), 1 / 32768),
    "24-bit": lambda d: (encoded(d / "x.wav", subtype="PCM_24"), 1e-6),
    "32-bit": lambda d: (encoded(d / "x.wav", subtype="PCM_32"), 1e-6),
    "float": lambda d: (encoded(d / "x.wav", subtype="FLOAT"), 0),
    "double": lambda d: (encoded(d / "x.wav", subtype="DOUBLE"), 0),
    "A-law": lambda d: (encoded(d / "x.wav", subtype="ALAW"), 0.02),
    "µ-law": lambda d: (encoded(d / "x.wav", subtype="ULAW"), 0.02),
    "ADPCM": lambda d: (encoded(d / "x.wav", subtype="IMA_ADPCM"), 0.05),
    "GSM 6.10, which has no seek": lambda d: (encoded(d / "x.wav", subtype="GSM610"), 0.2),
    "WAVE_FORMAT_EXTENSIBLE": lambda d: (encoded(d / "x.wav", format="WAVEX", subtype="PCM_16"), 1 / 32768),
    "RF64": lambda d: (encoded(d / "x.wav", format="RF64", subtype="PCM_16"), 1 / 32768),
    "W64": lambda d: (encoded(d / "x.w64", format="W64", subtype="PCM_16"), 1 / 32768),
    "AIFF": lambda d: (encoded(d / "x.aiff", format="AIFF", subtype="PCM_16"), 1 / 32768),
    "AU": lambda d: (encoded(d / "x.au", format="AU", subtype="PCM_16"), 1 / 32768),
    "NIST sphere": lambda d: (encoded(d / "x.sph", format="NIST", subtype="PCM_16"), 1 / 32768),
    "FLAC": lambda d: (encoded(d / "x.flac"), 1 / 32768),
    "FLAC of unknown length": lambda d: (flac(d, 0), 1 / 32768),
    "FLAC that claims ten hours": lambda d: (flac(d, TEN_HOURS * RATE), 1 / 32768),
    "WAV that claims ten hours": lambda d: (wav(pcm16(), claimed=TEN_HOURS * RATE * 2), 1 / 32768),
    "WAV of unknown length": lambda d: (wav(pcm16(), claimed=2**32 - 1), 1 / 32768),
    "OGG Vorbis": lambda d: (encoded(d / "x.ogg", format="OGG", subtype="VORBIS"), 0.05),
    "OGG Opus": lambda d: (encoded(d / "x.opus", format="OGG", subtype="OPUS"), 0.1),
    "MP3": lambda d: (encoded(d / "x.mp3", format="MP3"), 0.05),
    "six channels": lambda d: (wav(pcm16(spread([1, 0.5, 0, 1.5, 1, 2])), channels=6), 3 / 32768),
    "one channel silent": lambda d: (wav(pcm16(spread([2, 0])), channels=2), 1 / 32768),
}


@pytest.mark.parametrize("kind", READ)
def test_the_samples_are_right(kind, tmp_path):
    content, tolerance = READ[kind](tmp_path)
    path = tmp_path / "recording.bin"  # the content decides, not the extension
    path.write_bytes(content)
    tracemalloc.start()
    samples, rate = read_audio(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rate == RATE
    assert samples.dtype == np.float32
    assert peak < 20e6
    extra = len(samples) - len(SAMPLES)  # formats of blocks fill the last one
    assert 0 <= extra <= 500
    assert np.abs(samples[: len(SAMPLES)] - SAMPLES).max() <= tolerance
    assert np.array_equal(np.concatenate(list(audio_blocks(path, rate=RATE, seconds=0.013))), samples)


@pytest.mark.parametrize("extension", ["wav", "flac", "mp3", "vox", "raw", "txt", "sd2"])
def test_an_extension_decides_nothing(extension, tmp_path):
    path = tmp_path / f"recording.{extension}"
    path.write_bytes(encoded(tmp_path / "whole.flac"))
    assert np.abs(read_audio(path)[0] - SAMPLES).max() <= 1 / 32768


@pytest.mark.parametrize(
    "samples",
    [SAMPLES * 7, SAMPLES + 0.25, np.zeros(4000, np.float32), SAMPLES[:1], np.float32([-1, 1, -1])],
    ids=["beyond full scale", "DC offset", "silent", "one sample", "full scale"],
)
def test_unusual_samples_are_returned_as_they_are(samples, tmp_path):
    path = tmp_path / "x.wav"
    encoded(path, samples, subtype="FLOAT")
    assert np.array_equal(read_audio(path)[0], samples)
    assert audio_info(path).seconds == len(samples) / RATE


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 22050, 44100, 48000, 96000, 192000])
def test_every_rate_is_resampled(rate, tmp_path):
    path = tmp_path / "x.wav"
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate)
    encoded(path, tone, rate, subtype="FLOAT")
    samples, _ = read_audio(path, rate=16000)
    assert abs(len(samples) - 32000) <= 1
    inner = slice(2000, 30000)  # the ends of the filter see a tone that begins and ends
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(samples)) / 16000)
    assert np.abs(samples - expected)[inner].max() < 1e-3


def test_a_cut_wav_file_gives_the_samples_that_are_there(tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(wav(pcm16())[:2001])  # in the middle of a sample
    assert np.array_equal(read_audio(path)[0], np.round(SAMPLES * 32768)[:978].astype(np.float32) / 32768)


def test_ten_hours_are_read_in_constant_memory(tmp_path):
    path = tmp_path / "x.wav"
    header = wav(b"", rate=1000, claimed=TEN_HOURS * 2000)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + TEN_HOURS * 2000)  # zeros that use no disk
    assert audio_info(path).seconds == TEN_HOURS
    tracemalloc.start()
    count = sum(len(block) for block in audio_blocks(path, rate=2000))
    segment, _ = read_audio(path, start=35000, end=35001)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == TEN_HOURS * 2000
    assert len(segment) == 1000
    assert peak < 2e6


def broken(samples):
    return lambda d: encoded(d / "y.wav", np.concatenate([SAMPLES, samples]), subtype="DOUBLE")


REFUSED = {
    "zero bytes": (lambda d: b"", "x.wav: the file is empty, expected audio"),
    "header only": (lambda d: wav(b""), "x.wav: no samples"),
    "half a header": (lambda d: wav(pcm16())[:20], "x.wav: the header is damaged or of an unknown kind"),
    "text": (lambda d: b"hello world\n" * 100, "x.wav: is not audio, expected WAV, FLAC, OGG or MP3"),
    "noise": (lambda d: bytes(range(7, 256)) * 9, "x.wav: is not audio"),
    "an archive": (lambda d: b"PK\x03\x04" + bytes(200), "x.wav: is not audio"),
    "MP4": (lambda d: b"\0\0\0\x20ftypM4A " + bytes(99), "x.wav: is audio or video in MP4.*ffmpeg"),
    "WebM": (lambda d: b"\x1a\x45\xdf\xa3" + bytes(99), "x.wav: is audio or video in Matroska or WebM"),
    "an unknown codec": (lambda d: wav(pcm16(), form=0x1234), "x.wav: the header is damaged or of an unknown kind"),
    "no channels": (lambda d: wav(pcm16(), channels=0), "x.wav: the header is damaged"),
    "no rate": (lambda d: wav(pcm16(), rate=0), "x.wav: .*"),
    "10 Hz": (lambda d: wav(pcm16(), rate=10), "x.wav: a sampling rate of 10 Hz, expected 1,000 to 1,000,000 Hz"),
    "2 GHz": (lambda d: wav(pcm16(), rate=2 * 10**9), "x.wav: a sampling rate of 2000000000 Hz"),
    "NaN": (broken([0.1, np.nan]), "x.wav: the sample at 0.500 s is nan, expected finite numbers"),
    "infinity": (broken([np.inf]), "x.wav: the sample at 0.500 s is inf"),
    "beyond float32": (broken([1e300]), "x.wav: the sample at 0.500 s is inf"),
    "half a FLAC file": (lambda d: flac(d, 4000)[:1000], r"x.wav: cannot be decoded after 0.00 s \(flac decoder"),
    "a FLAC header only": (lambda d: flac(d, 4000)[:42], "x.wav: no samples"),
    "FLAC without its last byte": (
        lambda d: flac(d, 4000)[:-1],
        r"x.wav: cannot be decoded after .*Is the file complete",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_bad_file_gets_one_line(kind, tmp_path):
    build, message = REFUSED[kind]
    path = tmp_path / "x.wav"
    path.write_bytes(build(tmp_path))
    with pytest.raises(InputError, match=message) as caught:
        read_audio(path, rate=16000)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError):
        list(audio_blocks(path, rate=16000))


@pytest.mark.parametrize("name", ["x.vox", "x.gsm", "x.raw", "x.au", "x.sd2"])
def test_text_is_no_sound_whatever_its_extension(name, tmp_path):
    (tmp_path / name).write_text("hello world " * 100)
    with pytest.raises(InputError, match=f"{name}: is not audio"):
        read_audio(tmp_path / name)


def test_what_is_no_file_is_named(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    for name, message in [
        ("missing.wav", "no such file"),
        ("", "is a folder, expected an audio file"),
        ("pipe", "not a regular file"),
        ("a" * 300, "cannot be read: File name too long"),
        ("a\0b", "cannot be read: embedded null byte"),
    ]:
        with pytest.raises(InputError, match=message):
            read_audio(tmp_path / name)
    path = tmp_path / "x.wav"
    path.write_bytes(wav(pcm16()))

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)  # the superuser may read everything
    with pytest.raises(InputError, match="x.wav: cannot be read: Permission denied"):
        audio_info(path)


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        ({"start": 0.5}, "start=0.5 s is at or after the end of the audio, 0.500 s"),
        ({"start": 9, "end": 10}, "start=9 s is at or after the end of the audio"),
        ({"start": 0.3, "end": 0.2}, "end=0.2 s, expected more than start=0.3 s"),
        ({"start": 0.3, "end": 0.3}, "end=0.3 s, expected more than start=0.3 s"),
        ({"end": 0.0}, "end=0.0 s, expected more than"),
        ({"start": -1}, "start=-1 s, expected 0 or more"),
        ({"start": float("nan")}, "start=nan s, expected 0 or more"),
        ({"end": 1.2}, "end=1.2 s is after the end of the audio, 0.500 s"),
    ],
    ids=str,
)
@pytest.mark.parametrize("form", ["WAV", "MP3"])
def test_a_segment_that_is_not_there_is_refused(segment, message, form, tmp_path):
    path = tmp_path / "x"
    encoded(path, format=form)
    with pytest.raises(InputError, match=f"x: {message}"):
        read_audio(path, **segment)
    assert len(read_audio(path, start=0.25, end=0.7)[0]) == 2000  # an end slightly after the last sample is usual


def test_a_segment_after_the_end_of_a_file_of_unknown_length_is_refused(tmp_path):
    path = tmp_path / "x.flac"
    path.write_bytes(flac(tmp_path, 0))
    assert audio_info(path).seconds == float("inf")
    assert np.abs(read_audio(path, start=0.25)[0] - SAMPLES[2000:]).max() <= 1 / 32768
    with pytest.raises(InputError, match="start=1 s is at or after the end of the audio"):
        read_audio(path, start=1)


def test_the_requested_rate_is_checked(tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(wav(pcm16()))
    for call in (lambda: read_audio(path, rate=0), lambda: list(audio_blocks(path, rate=10**9))):
        with pytest.raises(InputError, match="rate=.*, expected a sampling rate of 1,000 to 1,000,000 Hz"):
            call()
