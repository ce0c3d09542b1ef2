"""Ctrl-C and SIGTERM: work in progress has a moment to end and is then given up; what is being written is finished.

Python runs a signal's handler in the main thread between two of its instructions. A thread that reads the signal's
number from a pipe, which the C part of the handler writes, acknowledges the signal at once even while the main thread
is inside a long operation of C, and later reminds the main thread to give up what it does.
"""

from __future__ import annotations

import _thread
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, TypeVar, cast

from recurra.errors import RecurraError

GRACE = 0.8  # seconds in which an update or a validation may still end by itself
_AGAIN = 0.5  # seconds between two reminders, because an exception raised in a destructor or a callback is lost
_HANDLED = 0.05  # seconds in which Python's own handler runs unless the main thread is inside an operation of C
_LIMIT = 1.5  # seconds after which a command ends although its work does not return to Python
_LONGEST_WRITE = 60.0  # seconds after which it ends although something may still be written
EXIT_CODE = 130


_Main = TypeVar("_Main", bound=Callable[..., None])


class Interrupted(RecurraError):
    """Training was asked to stop; the message says what is safe. The command line exits with 130."""


class InterruptedAtOnce(Interrupted, KeyboardInterrupt):
    """A second signal: nothing more was written. A KeyboardInterrupt too, for callers that wait for one."""


class GivenUp(KeyboardInterrupt):
    """Raised in the main thread inside `Interruption.giving_up` once a signal came and the time to end is over."""


class Interruption:
    """A context in which a signal sets `requested`; a second one raises `InterruptedAtOnce` there and then.

    Signals reach Python's main thread only, so that elsewhere the context does nothing. The handlers from before are
    put back on leaving.

    Args:
        acknowledge: Called with a line, from a thread, as soon as the first signal came; not inside
            `giving_up(after=0)`, where the end itself is the answer.
        numbers: The signals.
        ends_process: Whether the process is ended where the main thread does not return from C in time; for a program,
            never for a library.

    Attributes:
        requested: Whether a signal came.
        ends_process: As above.
        safe: Returns the line that says what is safe if the process ends now.
    """

    def __init__(
        self,
        acknowledge: Callable[[str], None] | None = None,
        *,
        numbers: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
        ends_process: bool | None = None,
    ) -> None:
        self.requested = False
        self.safe: Callable[[], str] = lambda: "interrupted"
        self._acknowledge, self._numbers = acknowledge, numbers
        # What runs inside a command ends with it.
        inherited: bool = bool(_active) and _active[-1].ends_process
        self.ends_process: bool = inherited if ends_process is None else ends_process
        self._since = 0.0
        self._grace: float | None = None  # None: outside of `giving_up`
        self._grace_then: float | None = None  # of the moment when the signal was handled
        self._reminding = self._left = False
        self._lock = threading.Lock()
        self._pipe: tuple[int, int] | None = None
        self._wakeup_before = -1
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        _active.append(self)
        if threading.current_thread() is threading.main_thread():
            self._pipe = os.pipe()
            os.set_blocking(self._pipe[1], False)
            self._wakeup_before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
            # Not threading.Thread, which waits for locks until the thread runs; it is never joined.
            _thread.start_new_thread(self._watch, (self._pipe[0],))
            for number in self._numbers:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._grace = None
        with self._lock:  # no reminder from here on: it would reach the handlers from before
            self._left = True
        for number, handler in self._before.items():
            # None: the handler was not installed from Python and cannot be put back; the default is the nearest.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()
        if self._pipe is not None:
            signal.set_wakeup_fd(self._wakeup_before)
            os.close(self._pipe[1])
            self._pipe = None
        if self in _active:
            _active.remove(self)

    @contextmanager
    def giving_up(self, *, after: float = GRACE) -> Iterator[None]:
        """Inside, work may be cut off anywhere: it changes nothing that is used afterwards.

        Args:
            after: Seconds from the first signal until `GivenUp` is raised; with 0 it is raised where the signal comes.

        Raises:
            GivenUp: the time is over, on entry or inside. Who catches it calls `protect`.
        """
        before = self._grace
        self._grace = after
        try:
            try:
                self._give_up_if_late()
                yield
            finally:
                self._grace = before
        finally:  # once more, should a signal have come just before the line above
            self._grace = before

    def protect(self) -> None:
        """From here on nothing is cut off: for who catches `GivenUp`, which may come while `giving_up` is left."""
        self._grace = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._reminding:
            self._reminding = False
        elif self.requested:
            raise InterruptedAtOnce(self.safe())
        else:
            self.requested, self._since, self._grace_then = True, self._since or time.monotonic(), self._grace
        self._give_up_if_late()

    def _give_up_if_late(self) -> None:
        if self.requested and self._grace is not None and time.monotonic() - self._since >= self._grace:
            raise GivenUp("interrupted")

    def _watch(self, pipe: int) -> None:
        """The thread: wait for the first signal, acknowledge it, then remind the main thread, and end the process."""
        try:
            while True:
                content = os.read(pipe, 1)
                if not content:
                    return
                if content[0] in self._numbers:
                    break
            began = self._since = self._since or time.monotonic()
            time.sleep(_HANDLED)
            grace = self._grace_then if self.requested else self._grace
            if grace != 0 and self._acknowledge is not None:
                with suppress(Exception):  # whoever watches the run cannot stop its end
                    self._acknowledge(
                        "stopping: what is in progress is finished or given up within two seconds, then saved. Ctrl-C "
                        "again stops at once"
                    )
            due = began + GRACE
            while not self._left:
                time.sleep(0.05)
                if time.monotonic() >= due:
                    due = time.monotonic() + _AGAIN
                    self._remind()
                self._end_process(time.monotonic() - began)
        finally:
            os.close(pipe)

    def _remind(self) -> None:
        with self._lock:
            if not self._left and self._grace is not None and self.requested:
                self._reminding = True
                _thread.interrupt_main(self._numbers[0])

    def _end_process(self, seconds: float) -> None:
        """End the process where the main thread is in C for too long; what is being written has longer."""
        if self.ends_process and seconds > (_LONGEST_WRITE if self._grace is None else _LIMIT):
            with self._lock:
                if self._left:
                    return
                _write_line(self.safe())
                os._exit(EXIT_CODE)


_active: list[Interruption] = []


def was_requested() -> bool:
    """Whether a signal came to the innermost `Interruption` that is open: an error may be but its consequence."""
    return bool(_active) and _active[-1].requested


def stoppable(main: _Main) -> _Main:
    """A command line that Ctrl-C ends wherever it is, and SIGTERM too where it trains.

    Args:
        main: Takes the arguments, those of the process where None, and reports what goes wrong, Ctrl-C included.
    """

    @functools.wraps(main)
    def stopped(arguments: Sequence[str] | None = None) -> None:
        own_process = arguments is None
        trains = "train" in (sys.argv[1:2] if arguments is None else arguments[:1])
        numbers = (signal.SIGINT, signal.SIGTERM) if trains else (signal.SIGINT,)
        shown = sys.unraisablehook
        try:
            with Interruption(numbers=numbers, ends_process=own_process) as interruption:
                # An exception raised in a destructor would be shown with its traceback.
                sys.unraisablehook = lambda lost: None if interruption.requested else shown(lost)
                with interruption.giving_up(after=0):
                    main(arguments)
        except (KeyboardInterrupt, SystemExit) as end:
            # KeyboardInterrupt: a second one, while the first was being reported.
            if isinstance(end, SystemExit) and end.code != EXIT_CODE:
                raise
            if own_process:
                _leave()
            raise SystemExit(EXIT_CODE) from None
        finally:
            sys.unraisablehook = shown
            if own_process:  # Python's own end has nothing to lose and takes no signal well
                signal.signal(signal.SIGINT, signal.SIG_IGN)

    return cast(_Main, stopped)


def _leave() -> None:
    """Ends the process without Python's own end, which takes a second or two after PyTorch was loaded."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(EXIT_CODE)


def _write_line(line: str) -> None:
    with suppress(OSError):
        os.write(2, f"recurra: {line}\n".encode(errors="replace"))
