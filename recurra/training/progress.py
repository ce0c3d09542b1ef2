"""Progress display on stderr: a live bar on a terminal, otherwise one plain line per interval."""

from __future__ import annotations

import sys
import time
from typing import IO, Any, Protocol

from recurra.training.figures import figure, short_figure
from recurra.training.meter import Interval

_REDRAW_EVERY = 0.1  # seconds between two redraws of the bar, at least


class Progress(Protocol):
    """The calls that the loop makes to a progress display; a user-defined display implements the same six."""

    def start(self, *, step: int, total_steps: int, token_name: str) -> None:
        """Training starts after update `step`; `token_name` is the name of a token of the loss."""
        ...

    def advance(self, step: int) -> None:
        """An update is done. Called after each update, so that it must return within microseconds."""
        ...

    def update(self, interval: Interval) -> None:
        """Receives the means of an interval."""
        ...

    def validation(self, step: int, metrics: dict[str, float], *, best: bool) -> None:
        """Receives the scores on held-out data after update `step`, and whether they are the best so far."""
        ...

    def note(self, line: str) -> None:
        """Receives a message. The message about a signal comes from another thread."""
        ...

    def finish(self) -> None:
        """Training has ended, with or without an error; no further call follows."""
        ...


class Silent:
    """Shows nothing."""

    def start(self, *, step: int, total_steps: int, token_name: str) -> None:
        """Does nothing."""

    def advance(self, step: int) -> None:
        """Does nothing."""

    def update(self, interval: Interval) -> None:
        """Does nothing."""

    def validation(self, step: int, metrics: dict[str, float], *, best: bool) -> None:
        """Does nothing."""

    def note(self, line: str) -> None:
        """Does nothing."""

    def finish(self) -> None:
        """Does nothing."""


class PlainProgress:
    """One line per interval, for files and pipes.

    Args:
        stream: Output stream; stderr by default.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream
        self._total, self._token_name, self._pace = 0, "token", _Pace()

    def start(self, *, step: int, total_steps: int, token_name: str) -> None:
        """Stores the totals for the lines."""
        self._total, self._token_name = total_steps, token_name
        self._pace.start(step)

    def advance(self, step: int) -> None:
        """Does nothing."""

    def update(self, interval: Interval) -> None:
        """Prints the means of the interval."""
        left = _duration(self._pace.seconds_left(interval.step, self._total))
        self.note(f"update {interval.step}/{self._total}  {summary(interval, self._token_name)}  {left} left")

    def validation(self, step: int, metrics: dict[str, float], *, best: bool) -> None:
        """Prints the scores."""
        self.note(f"update {step}/{self._total}  {validation_summary(metrics, best=best)}")

    def note(self, line: str) -> None:
        """Prints the line."""
        print(line, file=self._stream or sys.stderr, flush=True)

    def finish(self) -> None:
        """Does nothing."""


class LiveProgress:
    """A progress bar with the last interval below it; validations and messages are printed above."""

    def __init__(self) -> None:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar
        from rich.text import Text

        self._console = Console(stderr=True)
        columns = BarColumn(bar_width=30), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("left")
        self._bar = Bar(*columns, console=self._console)
        # Two lines: a terminal of 80 columns has no room for the numbers next to the bar.
        self._summary = Text()
        self._live = Live(Group(self._bar, self._summary), console=self._console, transient=True)
        self._task: Any = None
        self._token_name, self._drawn = "token", 0.0

    def start(self, *, step: int, total_steps: int, token_name: str) -> None:
        """Shows the bar."""
        self._token_name = token_name
        self._task = self._bar.add_task("train", total=total_steps, completed=step)
        self._live.start()

    def advance(self, step: int) -> None:
        """Moves the bar."""
        now = time.monotonic()
        if now - self._drawn >= _REDRAW_EVERY:
            self._drawn = now
            self._bar.update(self._task, completed=step)

    def update(self, interval: Interval) -> None:
        """Moves the bar and shows the means of the interval below it."""
        self._bar.update(self._task, completed=interval.step)
        self._summary.plain = summary(interval, self._token_name)

    def validation(self, step: int, metrics: dict[str, float], *, best: bool) -> None:
        """Prints the scores above the bar."""
        self.note(f"update {step}  {validation_summary(metrics, best=best)}")

    def note(self, line: str) -> None:
        """Prints the line above the bar."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def finish(self) -> None:
        """Removes the bar."""
        self._live.stop()


def choose_progress() -> Progress:
    """Returns a live bar if stderr is a terminal, else plain lines."""
    return LiveProgress() if sys.stderr.isatty() else PlainProgress()


def summary(interval: Interval, token_name: str) -> str:
    """Formats an interval in one line, without the number of its update."""
    shown = "".join(f"  {name.replace('_', ' ')} {short_figure(value)}" for name, value in interval.shown.items())
    epoch = interval.epoch + 1 if interval.current_epoch is None else interval.current_epoch
    return (
        f"epoch {epoch}  loss {figure(interval.loss)}{shown}  "
        f"{interval.tokens_per_second:,.0f} {token_name}s/s  gradient norm {interval.gradient_norm:.3g}  "
        f"learning rate {interval.learning_rate:.3g}"
    )


def validation_summary(metrics: dict[str, float], *, best: bool) -> str:
    """Formats validation scores in one line, without the number of their update."""
    scores = "  ".join(f"{name.replace('_', ' ')} {figure(value)}" for name, value in metrics.items())
    return f"validation  {scores}{'  (best)' if best else ''}"


class _Pace:
    """The speed of this session, from which the remaining time is estimated."""

    def __init__(self) -> None:
        self._step, self._began = 0, time.monotonic()

    def start(self, step: int) -> None:
        self._step, self._began = step, time.monotonic()

    def seconds_left(self, step: int, total: int) -> float:
        return (time.monotonic() - self._began) / max(1, step - self._step) * (total - step)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
