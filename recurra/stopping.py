"""Handling of Ctrl-C and SIGTERM: work in progress has a moment to end and is then aborted; files are completed.

Python runs a signal handler in the main thread between two bytecode instructions, so that a long C function delays it.
The C part of the handler also writes the signal's number to a pipe. A thread that reads it acknowledges the signal
immediately, and later interrupts the main thread again if it has not ended its work.
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
_HANDLED = 0.05  # seconds within which Python's handler runs unless the main thread is inside a C function
_LIMIT = 1.5  # seconds after which the process is ended although the main thread is still inside a C function
_LONGEST_WRITE = 60.0  # the same while a file may be being written
EXIT_CODE = 130


_Main = TypeVar("_Main", bound=Callable[..., None])


class Interrupted(RecurraError):
    """Training was interrupted by a signal; the message says what was saved. The command line exits with 130."""


class InterruptedAtOnce(Interrupted, KeyboardInterrupt):
    """A second signal arrived and nothing more was written. Also a KeyboardInterrupt, for callers that catch it."""


class GivenUp(KeyboardInterrupt):
    """Raised in the main thread inside `Interruption.giving_up` when the time to end after a signal is over."""


class Interruption:
    """A context in which a signal sets `requested`; a second signal raises `InterruptedAtOnce`.

    Python handles signals only in its main thread; in other threads the context does nothing. On exit the previous
    handlers are restored.

    Args:
        acknowledge: Called with a message, from a thread, on the first signal; not inside `giving_up(after=0)`, where
            the work ends immediately.
        numbers: The signals to handle.
        ends_process: Whether to end the process if the main thread does not return from a C function in time; for
            programs, not for libraries.

    Attributes:
        requested: Whether a signal has arrived.
        ends_process: As above.
        safe: Returns the message for the case that the process ends now: what was saved.
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
        # A context inside that of a command inherits its setting.
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
        with self._lock:  # no reminder after this: it would reach the previous handlers
            self._left = True
        for number, handler in self._before.items():
            # None: the handler was not installed from Python and cannot be restored; use the default.
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
        """Context whose work may be aborted anywhere, because nothing that it changes is used afterwards.

        Args:
            after: Seconds from the first signal until `GivenUp` is raised; 0 to raise it in the signal handler.

        Raises:
            GivenUp: the time is over, on entry or inside. Code that catches it must call `protect`.
        """
        before = self._grace
        self._grace = after
        try:
            try:
                self._give_up_if_late()
                yield
            finally:
                self._grace = before
        finally:  # again, because a signal may arrive just before the line above
            self._grace = before

    def protect(self) -> None:
        """Ends the abortable section: for code that catches `GivenUp`, which may be raised while `giving_up` exits."""
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
        """The thread: waits for the first signal, acknowledges it, then reminds the main thread or ends the process."""
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
                with suppress(Exception):  # a failing progress display must not prevent the end
                    self._acknowledge(
                        "stopping: work in progress ends or is aborted within two seconds, then the state is saved. "
                        "Ctrl-C again stops at once"
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
        """Ends the process if the main thread is inside a C function for too long; writing a file may take longer."""
        if self.ends_process and seconds > (_LONGEST_WRITE if self._grace is None else _LIMIT):
            with self._lock:
                if self._left:
                    return
                _write_line(self.safe())
                os._exit(EXIT_CODE)


_active: list[Interruption] = []


def was_requested() -> bool:
    """Whether the innermost open `Interruption` got a signal: an error may then be only its consequence."""
    return bool(_active) and _active[-1].requested


def stoppable(main: _Main) -> _Main:
    """Decorates the main function of a command line: Ctrl-C ends it anywhere, and SIGTERM too if it trains.

    Args:
        main: Takes the arguments, None for those of the process, and reports errors, Ctrl-C included.
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
            if own_process:  # a signal during the interpreter's shutdown would print a traceback
                signal.signal(signal.SIGINT, signal.SIG_IGN)

    return cast(_Main, stopped)


def _leave() -> None:
    """Ends the process without the interpreter's shutdown, which takes a second or two after PyTorch was loaded."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(EXIT_CODE)


def _write_line(line: str) -> None:
    with suppress(OSError):
        os.write(2, f"recurra: {line}\n".encode(errors="replace"))
