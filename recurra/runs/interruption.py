"""The message of an interrupted run: what is saved, and the command that continues."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from recurra import bundle
from recurra.errors import RecurraError
from recurra.stopping import GivenUp, Interrupted, Interruption
from recurra.training import Progress


@contextlib.contextmanager
def interruptible(task: str, out: Path, progress: Progress) -> Iterator[Interruption]:
    """Within the block, Ctrl-C and SIGTERM end the run with one line that names what is saved and how to continue.

    Raises:
        Interrupted: the run was interrupted.
    """
    with Interruption(progress.note) as interruption:
        try:
            yield interruption
        except GivenUp:
            line = "interrupted before the first update of this call; nothing was changed"
            raise Interrupted(_with_command(line, task, out)) from None
        except Interrupted as stop:
            raise type(stop)(_with_command(str(stop), task, out)) from None
        except RecurraError:
            raise
        except Exception as error:
            if not interruption.requested:
                raise
            # A library that was cut off may end in an error of its own.
            raise Interrupted(_with_command("interrupted", task, out)) from error


def _with_command(line: str, task: str, out: Path) -> str:
    """Returns the line with the command that continues and the folders of the models."""
    place = bundle.begun_place(out)
    if not bundle.has_begun(place):
        return line
    if line.endswith(" with --resume"):
        line = f"{line.removesuffix('--resume')}recurra train {task} --out {shlex.quote(str(out))} --resume"
    has_model = (place / bundle.METRICS).exists()
    if place != out:
        best = f"; the best of the new run so far is in {place}" if has_model else ""
        return f"{line}. The older model stays in {out}{best}"
    if (place / bundle.TRAINING / bundle.CHECKPOINT).exists():
        return f"{line}. {f'The best model so far is in {out}' if has_model else 'There is no model yet'}"
    return line
