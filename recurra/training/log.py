"""The log of a run: one JSON object per line in `log.jsonl`, and optionally the same values for TensorBoard.

Events: "header" (options, machine), "train" (an interval), "validation", "monitor", "resume", "end". A resumed run
truncates the file to its length at the checkpoint, so that no line appears twice.
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
    """An append-only file that is written in whole lines.

    Args:
        path: Path of the file.
        keep: Number of bytes to keep of an existing file; 0 starts a new one.
    """

    def __init__(self, path: Path, *, keep: int) -> None:
        self._file = io.BufferedWriter(io.FileIO(path, "ab"))
        # After a power failure the file may be shorter than `keep`: truncate() would then extend it with zeros.
        self._file.truncate(min(keep, os.path.getsize(path)))
        self._file.seek(0, os.SEEK_END)

    def write(self, event: str, **values: Any) -> None:
        """Appends one event; NaN and infinity, which JSON lacks, become null."""
        line = json.dumps(_json_values({"event": event, **values}), default=str, allow_nan=False)
        self._file.write(line.encode() + b"\n")
        self._file.flush()

    def bytes_on_disk(self) -> int:
        """Flushes the file to the disk and returns its length."""
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Closes the file."""
        # A failed write was reported when it happened; close() would try it again.
        with contextlib.suppress(OSError):
            self._file.close()


class TensorBoardLog:
    """Writes the values for TensorBoard.

    Args:
        folder: Folder of the event files.
        step: Events after this update, from an interrupted session, are hidden.

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
        """Adds one point to the curve of each value."""
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, step)
        self._writer.flush()

    def close(self) -> None:
        """Closes the files."""
        # As in `RunLog.close`: an error here was reported before.
        with contextlib.suppress(OSError):
            self._writer.close()


def _json_values(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _json_values(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_values(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
