"""An open audio file: its header, and its samples one block after the other."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from recurra.data.audio.libraries import soundfile
from recurra.data.audio.resampling import HIGHEST_RATE, LOWEST_RATE, Samples
from recurra.errors import InputError

# Numbers decoded at a time, over all channels.
_BLOCK = 1 << 20
# libsndfile decodes these from a position with other samples than from the start, or at another position.
_INEXACT_SEEKS = ("MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III", "OPUS")
# libsndfile's number of samples of a file whose header does not contain it.
_UNKNOWN = (1 << 63) - 1
_CONVERT = "Convert it to WAV or FLAC first, with ffmpeg for example"
_HEAD = 16


class Decoder:
    """Decodes an audio file of any format of libsndfile, recognised by its content; a context manager.

    Args:
        path: the file.

    Attributes:
        rate: samples per second.
        channels: number of channels.
        length: number of samples per channel according to the header, which may be wrong; None if it has none.

    Raises:
        InputError: the file does not exist, cannot be read, is empty, or is not audio.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open(path)
        try:
            # By descriptor: by name libsndfile also goes by extensions, and reads any .vox or .gsm as sound.
            self._sound: Any = soundfile().SoundFile(self._file.fileno(), closefd=False)
        except RuntimeError as error:
            problem = _foreign(self._file, error)
            self._file.close()
            raise InputError(f"{path}: {problem}") from None
        except BaseException:
            self._file.close()
            raise
        self.rate, self.channels = int(self._sound.samplerate), int(self._sound.channels)
        self.length = None if self._sound.frames >= _UNKNOWN else int(self._sound.frames)
        self._seekable = self._sound.seekable() and self._sound.subtype not in _INEXACT_SEEKS
        # soundfile seeks after each read in a seekable file, which changes the samples of MP3, and does not read past
        # the length in the header.
        self._sound.seekable = lambda: False
        self._place = 0
        if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            self.close()
            raise InputError(
                f"{path}: a sampling rate of {self.rate} Hz, expected {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz"
            )

    def skip(self, count: int) -> None:
        """Continues `count` samples later, or at the end of the file: by a seek where that is exact."""
        if count and self._seekable and self.length is not None:
            target = min(self._place + count, self.length)
            try:
                self._sound.seek(target)
            except RuntimeError as error:
                raise self._damaged(error) from None
            self._place = target
            return
        while count:
            skipped = len(self._decode(count))
            if not skipped:
                return
            count -= skipped

    def read(self, count: int) -> Samples:
        """Returns the next samples, the mean of the channels, (n,): at most `count`, and none at the end of the file.

        Raises:
            InputError: the data cannot be decoded, or a sample is not finite.
        """
        start = self._place
        block = self._decode(count)
        mixed: Samples = block[:, 0] if self.channels == 1 else block.mean(axis=1, dtype=np.float32)
        if not np.isfinite(mixed).all():
            first = int(np.flatnonzero(~np.isfinite(mixed))[0])
            raise InputError(
                f"{self._path}: the sample at {(start + first) / self.rate:.3f} s is {block[first].sum()}, expected "
                "finite numbers"
            )
        return mixed

    def _decode(self, count: int) -> Any:
        try:
            block = self._sound.read(
                min(count, max(1, _BLOCK // self.channels)), dtype="float32", always_2d=True
            )  # (n, channels)
        except RuntimeError as error:
            raise self._damaged(error) from None
        self._place += len(block)
        return block

    def _damaged(self, error: RuntimeError) -> InputError:
        return InputError(
            f"{self._path}: cannot be decoded after {self._place / self.rate:.2f} s ({_reason(error)}). "
            "Is the file complete?"
        )

    def close(self) -> None:
        """Closes the file."""
        self._sound.close()
        self._file.close()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open(path: Path) -> BinaryIO:
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{path}: is a folder, expected an audio file")
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: not a regular file. Save it to a file first")
        if not status.st_size:
            raise InputError(f"{path}: the file is empty, expected audio")
        return path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except InputError:  # which is a ValueError too
        raise
    except ValueError as error:  # a zero byte in the name
        raise InputError(f"{str(path)!r}: cannot be read: {error}") from None


def _foreign(file: BinaryIO, error: RuntimeError) -> str:
    """What is wrong with a file that libsndfile does not open, by its first bytes."""
    file.seek(0)
    head = file.read(_HEAD)
    if head[4:8] == b"ftyp":
        return f"is audio or video in MP4, expected WAV, FLAC, OGG or MP3. {_CONVERT}"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return f"is audio or video in Matroska or WebM, expected WAV, FLAC, OGG or MP3. {_CONVERT}"
    if head.startswith((b"RIFF", b"RF64", b"FORM", b"fLaC", b"OggS", b"ID3")):
        return f"the header is damaged or of an unknown kind ({_reason(error)}). {_CONVERT}"
    return f"is not audio, expected WAV, FLAC, OGG or MP3 ({_reason(error)})"


def _reason(error: RuntimeError) -> str:
    reason = str(getattr(error, "error_string", error)) or type(error).__name__
    return " ".join(reason.removeprefix("Error : ").split()).rstrip(".")
