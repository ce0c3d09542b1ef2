"""Samples of audio files: mono, at one sampling rate, whole or in blocks of constant memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recurra.data.audio.decoder import Decoder
from recurra.data.audio.resampling import Resampler, Samples, check_rate
from recurra.errors import InputError

__all__ = ["AudioInfo", "Resampler", "Samples", "audio_blocks", "audio_info", "read_audio"]

# Seconds decoded at a time.
_PIECE = 10.0
# A segment may end this many seconds after its recording, as in Kaldi's extract-segments: ends are often rounded.
OVERSHOOT = 0.5


@dataclass(frozen=True)
class AudioInfo:
    """The header of an audio file.

    Args:
        rate: samples per second.
        channels: number of channels.
        seconds: duration according to the header, which may be wrong; infinite if the header has none.
    """

    rate: int
    channels: int
    seconds: float


def audio_info(path: Path | str) -> AudioInfo:
    """Reads the header of an audio file.

    Raises:
        InputError: the file does not exist, cannot be read, is empty, or is not audio.
    """
    with Decoder(Path(path)) as decoder:
        seconds = math.inf if decoder.length is None else decoder.length / decoder.rate
        return AudioInfo(decoder.rate, decoder.channels, seconds)


def read_audio(
    path: Path | str, *, rate: int | None = None, start: float | None = None, end: float | None = None
) -> tuple[Samples, int]:
    """Reads an audio file, or a segment of it.

    The format is recognised by the content (WAV, FLAC, OGG, MP3 and what else libsndfile decodes). Integers are scaled
    to [-1, 1); floating-point samples are returned as they are, also beyond ±1. Only the segment is read, except from
    MP3 and Opus, which libsndfile does not decode exactly from a position: the samples before it are decoded and
    dropped.

    Args:
        path: the file.
        rate: samples per second of the result; None for those of the file.
        start: where the segment begins, in seconds.
        end: where it ends, in seconds; up to half a second after the end of the file.

    Returns:
        The mean of the channels, (N,) float32, and the number of samples per second.

    Raises:
        InputError: the file does not exist, cannot be read or decoded, is not audio, has no samples or samples that
            are not finite, or the segment is not in it.
    """
    path = Path(path)
    if rate is not None:
        check_rate(rate, "rate")
    with Decoder(path) as decoder:
        rate = decoder.rate if rate is None else rate
        blocks = list(_resampled(_segment(decoder, path, start, end, _PIECE), decoder.rate, rate))
    return np.concatenate(blocks), rate


def audio_blocks(path: Path | str, *, rate: int, seconds: float = 10.0) -> Iterator[Samples]:
    """Iterates over the samples of an audio file in constant memory.

    The blocks, concatenated, are equal to the result of `read_audio` to the bit.

    Args:
        path: the file.
        rate: samples per second of the blocks.
        seconds: maximal duration of what is decoded for a block; with resampling, blocks are a little longer or
            shorter.

    Raises:
        InputError: as `read_audio`.
    """
    path = Path(path)
    check_rate(rate, "rate")
    with Decoder(path) as decoder:
        for block in _resampled(_segment(decoder, path, None, None, seconds), decoder.rate, rate):
            if len(block):
                yield block


def segment_blocks(
    path: Path | str, *, start: float | None = None, end: float | None = None
) -> Iterator[tuple[Samples, int]]:
    """Iterates over the samples of a segment at the sampling rate of the file, each block with that rate.

    Arguments and errors are those of `read_audio`.
    """
    path = Path(path)
    with Decoder(path) as decoder:
        for block in _segment(decoder, path, start, end, _PIECE):
            yield block, decoder.rate


def _resampled(blocks: Iterator[Samples], in_rate: int, out_rate: int) -> Iterator[Samples]:
    resampler = Resampler(in_rate, out_rate)
    for block in blocks:
        yield resampler.accept(block)
    yield resampler.finish()


def _segment(decoder: Decoder, path: Path, start: float | None, end: float | None, seconds: float) -> Iterator[Samples]:
    """The samples of a segment in blocks of at most `seconds`."""
    first, last = _borders(decoder, path, start, end)
    decoder.skip(first)
    size, place = max(1, round(seconds * decoder.rate)), first
    while last is None or place < last:
        block = decoder.read(size if last is None else min(size, last - place))
        if not len(block):
            break
        place += len(block)
        yield block
    if place == first:
        raise InputError(
            f"{path}: start={start} s is at or after the end of the audio" if first else f"{path}: no samples"
        )
    if last is not None and last - place > OVERSHOOT * decoder.rate:
        raise InputError(f"{path}: end={end} s is after the end of the audio, {place / decoder.rate:.3f} s")


def _borders(decoder: Decoder, path: Path, start: float | None, end: float | None) -> tuple[int, int | None]:
    """The first sample of a segment, and the one after its last; None for the end of the file."""
    begin = 0.0 if start is None else start
    if not 0 <= begin < math.inf:
        raise InputError(f"{path}: start={start} s, expected 0 or more")
    if end is not None and not begin < end < math.inf:
        raise InputError(f"{path}: end={end} s, expected more than start={begin} s")
    first = round(begin * decoder.rate)
    if first and decoder.length is not None and first >= decoder.length:
        raise InputError(
            f"{path}: start={start} s is at or after the end of the audio, {decoder.length / decoder.rate:.3f} s"
        )
    # At least one sample, however short the segment.
    return first, None if end is None else max(first + 1, round(end * decoder.rate))
