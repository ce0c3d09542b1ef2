"""The log of a run: one JSON object a line in `log.jsonl`, and the same for TensorBoard on request.

Events: "header" (options, machine), "train" (an interval), "validation", "monitor", "resume", "end". A resumed run cuts
the file back to where its checkpoint was written, so that no line is there twice.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
from pathlib import Path
from typing import Any

from recurra.errors import InputError

NAME = "log.jsonl"


class RunLog:
    """A file that only grows, a whole line at a time.

    Args:
        path: Of the file.
        keep: Bytes to keep of it; 0 begins anew.
    """

    def __init__(self, path: Path, *, keep: int) -> None:
        self._file = io.BufferedWriter(io.FileIO(path, "ab"))
        # A power cut may have taken lines that no checkpoint waited for: never grow the file with zeros.
        self._file.truncate(min(keep, os.path.getsize(path)))
        self._file.seek(0, os.SEEK_END)

    def write(self, event: str, **values: Any) -> None:
        """Append one event; numbers that are not finite become null, which JSON has."""
        line = json.dumps(_cleaned({"event": event, **values}), default=str, allow_nan=False)
        self._file.write(line.encode() + b"\n")
        self._file.flush()

    def bytes_on_disk(self) -> int:
        """The length of the file, all of it forced to the disk."""
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        # A line that the disk refused was reported when it was written, and closing would try it once more.
        with contextlib.suppress(OSError):
            self._file.close()


class Board:
    """The same numbers for TensorBoard.

    Args:
        folder: Where its event files go.
        step: Events after this update, of a session cut off, are hidden.

    Raises:
        InputError: the package is not installed.
    """

    def __init__(self, folder: Path, *, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError(
                "tensorboard=True, but the package is not installed: pip install 'recurra[tensorboard]'"
            ) from error
        self._writer = SummaryWriter(str(folder), purge_step=step or None)

    def write(self, step: int, group: str, values: dict[str, float]) -> None:
        """Add one point to the curve of each value."""
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, step)
        self._writer.flush()

    def close(self) -> None:
        """Close the files."""
        # As for the log: what the disk refuses now was reported or belongs to no checkpoint.
        with contextlib.suppress(OSError):
            self._writer.close()


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _cleaned(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
