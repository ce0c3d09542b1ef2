"""Ctrl-C and SIGTERM while training: the first ends the run after the update, the second at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from recurra.errors import RecurraError


class Interrupted(RecurraError):
    """Training was asked to stop, and its checkpoint is written. The command line exits with 130."""


class Interruption:
    """A context in which SIGINT and SIGTERM set `requested`; a second one raises KeyboardInterrupt there and then.

    Signals reach Python's main thread only, so that elsewhere the context does nothing. The handlers found on entry are
    put back on leaving.

    Attributes:
        requested: Whether a signal came.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            # None: the handler was not installed from Python and cannot be put back; the default is the nearest.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
