"""What a run leaves behind and shows: the log, TensorBoard, the display, the checkpoint, the best model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recurra.training import log
from recurra.training.checkpoint import NAME, keeping_last, write_checkpoint
from recurra.training.machine import describe_environment, describe_machine
from recurra.training.meter import Interval
from recurra.training.nonfinite import late_failure, weights_failure
from recurra.training.progress import Progress, Silent
from recurra.training.session import Session

SaveBest = Callable[[dict[str, float]], None]


class Recorder:
    """Writes for the main process; on the others it only takes part in what all must do together.

    Args:
        session: What is recorded.
        folder: Where checkpoints go.
        log_file: Where the log goes.
        save_best: Called with the scores when they are the best so far.
        progress: What a person sees.
        keep: Bytes of an earlier log to keep.
        saved_step: Update of the checkpoint that is there already; None where there is none.

    Attributes:
        saved_step: Update of the last checkpoint; None before the first.
    """

    def __init__(
        self,
        session: Session,
        folder: Path,
        *,
        log_file: Path,
        save_best: SaveBest,
        progress: Progress,
        keep: int,
        saved_step: int | None = None,
    ) -> None:
        self.session, self.folder = session, folder
        self.saved_step = saved_step
        self._main = session.processes.is_main
        self._save_best = save_best
        self._progress: Progress = progress if self._main else Silent()
        self._board: log.Board | None = None
        self._log: log.RunLog | None = None
        if self._main:
            with self._writing():
                if session.options.tensorboard:
                    with session.giving_up():  # a long import
                        self._board = log.Board(folder / "tensorboard", step=session.step)
                self._log = log.RunLog(log_file, keep=keep)

    def header(self, extra: dict[str, Any]) -> None:
        """Log what the run is: options, plan, machine, and what the caller adds."""
        session = self.session
        self._write(
            "header",
            **extra,
            options=dataclasses.asdict(session.options),
            **session.plan._asdict(),
            processes=session.processes.count,
            parameters=sum(parameter.numel() for parameter in session.parameters),
            token_name=session.trainable.token_name,
            **describe_environment(session.device),
            machine=describe_machine() if self._main else {},
        )

    def resumed(self) -> None:
        """Log that another session of the run begins, and on what machine."""
        environment = describe_environment(self.session.device)
        self._write("resume", step=self.session.step, **environment, machine=describe_machine() if self._main else {})

    def begin(self) -> None:
        """Show the display."""
        session = self.session
        self._progress.start(
            step=session.step, total_steps=session.plan.total_steps, token_name=session.trainable.token_name
        )

    def advance(self) -> None:
        """Show that an update is done."""
        self._progress.advance(self.session.step)

    def note(self, line: str) -> None:
        """Show a line."""
        self._progress.note(line)

    def interval(self, learning_rate: float) -> None:
        """Log and show the means since the last time, and begin the next interval; all processes together.

        Raises:
            RecurraError: a loss or a norm in it was not finite.
        """
        session = self.session
        self.check()
        now = session.clock()
        loss, tokens = session.processes.sum(*session.meter.sums(now)[:2])
        mean = loss / tokens
        interval = Interval(
            step=session.step,
            epoch=session.trainable.updates.epoch,
            loss=mean,
            tokens_per_second=tokens / max(session.meter.elapsed(now), 1e-9),
            gradient_norm=session.meter.mean_norm(),
            learning_rate=learning_rate,
            seconds=session.trained(),
            shown=session.trainable.describe(mean),
            current_epoch=_current_epoch(session),
        )
        session.meter.reset(now)
        self._progress.update(interval)
        values = interval._asdict()
        shown = values.pop("shown")
        del values["current_epoch"]  # the log counts complete passes
        self._write("train", **values, **shown)
        self._chart("train", {name: value for name, value in (values | shown).items() if name != "step"})

    def validation(self, metrics: dict[str, float], *, best: bool) -> None:
        """Log and show a validation, and save the model where it is the best."""
        session = self.session
        if best:
            self.save_best(metrics)
        self._progress.validation(session.step, metrics, best=best)
        self._write("validation", step=session.step, **metrics, best=best, seconds=session.trained())
        self._chart("validation", metrics)

    def monitor(self, values: dict[str, float]) -> None:
        """Log what a monitor measured."""
        self._write("monitor", step=self.session.step, **values)
        self._chart("monitor", values)

    def save_best(self, metrics: dict[str, float]) -> None:
        """Have the caller save the model as it is now; weights that are not finite are not saved."""
        self._check_weights()
        if self._main:
            with self._writing():
                self._save_best(dict(metrics))

    def checkpoint(self) -> None:
        """Write everything needed to go on; all processes together.

        Raises:
            RecurraError: the weights are not finite, which no checkpoint should keep; or the disk refuses.
        """
        session = self.session
        self.check()
        self._check_weights()
        captured = session.capture()
        if self._log is not None:
            with self._writing():
                captured["options"] = dataclasses.asdict(session.options)
                captured["environment"] = describe_environment(session.device)
                captured["log_bytes"] = self._log.bytes_on_disk()
                write_checkpoint(self.folder / NAME, captured)
        self.saved_step = session.step

    def end(self, why: str) -> None:
        """Log how the run ended."""
        self._write("end", step=self.session.step, stopped_because=why, seconds=self.session.trained())

    def close(self) -> None:
        """Close the files and take the display away."""
        self._progress.finish()
        for opened in (self._log, self._board):
            if opened is not None:
                opened.close()

    def check(self) -> None:
        """Read what waits on the device; all processes together.

        Raises:
            RecurraError: a loss or a gradient norm was not finite, here or on another process.
        """
        self.session.meter.read()
        broken = self.session.meter.broken
        (any_broken,) = self.session.processes.sum(broken is not None)
        if any_broken:
            step, what = broken or (self.session.step, "loss of another process")
            raise late_failure(self.session, step, what)

    def _check_weights(self) -> None:
        failure = weights_failure(self.session)
        if failure is not None:
            raise failure

    def _write(self, event: str, **values: Any) -> None:
        if self._log is not None:
            with self._writing():
                self._log.write(event, **values)

    def _chart(self, group: str, values: dict[str, float]) -> None:
        if self._board is not None:
            with self._writing():
                self._board.write(self.session.step, group, values)

    def _writing(self) -> Any:
        return keeping_last(self.folder, self.saved_step)


def _current_epoch(session: Session) -> int:
    """The pass, from 1, that the last update belongs to."""
    updates, before = session.trainable.updates, session.passes
    # A pass is complete with its last update; data that counts it only when the next one begins is told by the place.
    first_of_pass = updates.updates_per_epoch() > 1 and session.step % updates.updates_per_epoch() == 1
    return updates.epoch + 1 if first_of_pass else before + 1
