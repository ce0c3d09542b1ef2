"""What a person sees while training, always on stderr: a live bar on a terminal, a plain line an interval elsewhere."""

from __future__ import annotations

import sys
import time
from typing import IO, Any, Protocol

from recurra.training.figures import figure, short_figure
from recurra.training.meter import Interval

_REDRAW_EVERY = 0.1  # seconds; a bar is redrawn no oftener, whatever the number of updates


class Progress(Protocol):
    """What the loop tells whoever watches; a user's own takes the same six calls."""

    def start(self, *, step: int, total_steps: int, token_name: str) -> None:
        """Training begins after update `step`; `token_name` is what a loss counts."""
        ...

    def advance(self, step: int) -> None:
        """Another update is done: called after each, so it must return in microseconds."""
        ...

    def update(self, interval: Interval) -> None:
        """The means of an interval."""
        ...

    def validation(self, step: int, metrics: dict[str, float], *, best: bool) -> None:
        """The scores on held-out data after update `step`, and whether they are the best so far."""
        ...

    def note(self, line: str) -> None:
        """Something worth a line. That a signal came is noted from another thread."""
        ...

    def finish(self) -> None:
        """Training ended, by whatever way; nothing follows."""
        ...


class Silent:
    """Shows nothing."""

    def start(self, *, step: int, total_steps: int, token_name: str) -> None:
        """Show nothing."""

    def advance(self, step: int) -> None:
        """Show nothing."""

    def update(self, interval: Interval) -> None:
        """Show nothing."""

    def validation(self, step: int, metrics: dict[str, float], *, best: bool) -> None:
        """Show nothing."""

    def note(self, line: str) -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Show nothing."""


class PlainProgress:
    """One line an interval, for files and pipes.

    Args:
        stream: Where the lines go; stderr by default.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream
        self._total, self._token_name, self._pace = 0, "token", _Pace()

    def start(self, *, step: int, total_steps: int, token_name: str) -> None:
        """Keep what the lines repeat."""
        self._total, self._token_name = total_steps, token_name
        self._pace.start(step)

    def advance(self, step: int) -> None:
        """Show nothing."""

    def update(self, interval: Interval) -> None:
        """Print the means of the interval."""
        left = _duration(self._pace.seconds_left(interval.step, self._total))
        self.note(f"update {interval.step}/{self._total}  {summary(interval, self._token_name)}  {left} left")

    def validation(self, step: int, metrics: dict[str, float], *, best: bool) -> None:
        """Print the scores."""
        self.note(f"update {step}/{self._total}  {validation_summary(metrics, best=best)}")

    def note(self, line: str) -> None:
        """Print the line."""
        print(line, file=self._stream or sys.stderr, flush=True)

    def finish(self) -> None:
        """Show nothing."""


class LiveProgress:
    """A bar that moves, with the last interval below it; validations and notes stay above as lines."""

    def __init__(self) -> None:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar
        from rich.text import Text

        self._console = Console(stderr=True)
        columns = BarColumn(bar_width=30), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("left")
        self._bar = Bar(*columns, console=self._console)
        # Two lines: beside the bar, a terminal of 80 columns has no room for the numbers.
        self._told = Text()
        self._live = Live(Group(self._bar, self._told), console=self._console, transient=True)
        self._task: Any = None
        self._token_name, self._drawn = "token", 0.0

    def start(self, *, step: int, total_steps: int, token_name: str) -> None:
        """Show the bar."""
        self._token_name = token_name
        self._task = self._bar.add_task("train", total=total_steps, completed=step)
        self._live.start()

    def advance(self, step: int) -> None:
        """Move the bar."""
        now = time.monotonic()
        if now - self._drawn >= _REDRAW_EVERY:
            self._drawn = now
            self._bar.update(self._task, completed=step)

    def update(self, interval: Interval) -> None:
        """Move the bar and write the means of the interval below it."""
        self._bar.update(self._task, completed=interval.step)
        self._told.plain = summary(interval, self._token_name)

    def validation(self, step: int, metrics: dict[str, float], *, best: bool) -> None:
        """Print the scores above the bar."""
        self.note(f"update {step}  {validation_summary(metrics, best=best)}")

    def note(self, line: str) -> None:
        """Print the line above the bar."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def finish(self) -> None:
        """Take the bar away."""
        self._live.stop()


def choose_progress() -> Progress:
    """A live bar where stderr is a terminal, plain lines where it is not."""
    return LiveProgress() if sys.stderr.isatty() else PlainProgress()


def summary(interval: Interval, token_name: str) -> str:
    """An interval in words and numbers, without its update."""
    shown = "".join(f"  {name.replace('_', ' ')} {short_figure(value)}" for name, value in interval.shown.items())
    epoch = interval.epoch + 1 if interval.current_epoch is None else interval.current_epoch
    return (
        f"epoch {epoch}  loss {figure(interval.loss)}{shown}  "
        f"{interval.tokens_per_second:,.0f} {token_name}s/s  gradient norm {interval.gradient_norm:.3g}  "
        f"learning rate {interval.learning_rate:.3g}"
    )


def validation_summary(metrics: dict[str, float], *, best: bool) -> str:
    """Scores in words and numbers, without their update."""
    scores = "  ".join(f"{name.replace('_', ' ')} {figure(value)}" for name, value in metrics.items())
    return f"validation  {scores}{'  (best)' if best else ''}"


class _Pace:
    """The speed of this session, from which the time left is told."""

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
