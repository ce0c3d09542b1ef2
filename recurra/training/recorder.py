"""All output of a run: log, TensorBoard, progress display, checkpoints and the best model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recurra.training import log
from recurra.training.checkpoint import NAME, report_write_errors, write_checkpoint
from recurra.training.machine import describe_environment, describe_machine
from recurra.training.meter import Interval
from recurra.training.nonfinite import late_failure, weights_failure
from recurra.training.progress import Progress, Silent
from recurra.training.session import Session

SaveBest = Callable[[dict[str, float]], None]


class Recorder:
    """Writes the output on the main process; on the others it only takes part in collective operations.

    Args:
        session: The session to record.
        folder: Folder of the checkpoints.
        log_file: Path of the log.
        save_best: Called with the scores when they are the best so far.
        progress: Progress display.
        keep: Number of bytes to keep of an earlier log.
        saved_step: Update of an existing checkpoint; None if there is none.

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
        self._board: log.TensorBoardLog | None = None
        self._log: log.RunLog | None = None
        if self._main:
            with self._writing():
                if session.options.tensorboard:
                    with session.giving_up():  # a long import
                        self._board = log.TensorBoardLog(folder / "tensorboard", step=session.step)
                self._log = log.RunLog(log_file, keep=keep)

    def header(self, extra: dict[str, Any]) -> None:
        """Logs the options, the plan, the machine, and the caller's fields."""
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
        """Logs the start of another session of the run, and its machine."""
        environment = describe_environment(self.session.device)
        self._write("resume", step=self.session.step, **environment, machine=describe_machine() if self._main else {})

    def begin(self) -> None:
        """Starts the progress display."""
        session = self.session
        self._progress.start(
            step=session.step, total_steps=session.plan.total_steps, token_name=session.trainable.token_name
        )

    def advance(self) -> None:
        """Updates the progress display."""
        self._progress.advance(self.session.step)

    def note(self, line: str) -> None:
        """Shows a message."""
        self._progress.note(line)

    def interval(self, learning_rate: float) -> None:
        """Logs and shows the means of the interval, and starts the next one; all processes call it together.

        Raises:
            RecurraError: a loss or a gradient norm of the interval is not finite.
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
        """Logs and shows a validation, and saves the model if it is the best so far."""
        session = self.session
        if best:
            self.save_best(metrics)
        self._progress.validation(session.step, metrics, best=best)
        self._write("validation", step=session.step, **metrics, best=best, seconds=session.trained())
        self._chart("validation", metrics)

    def monitor(self, values: dict[str, float]) -> None:
        """Logs the values of a monitor."""
        self._write("monitor", step=self.session.step, **values)
        self._chart("monitor", values)

    def save_best(self, metrics: dict[str, float]) -> None:
        """Calls `save_best`; weights that are not finite are not saved."""
        self._check_weights()
        if self._main:
            with self._writing():
                self._save_best(dict(metrics))

    def checkpoint(self) -> None:
        """Writes a checkpoint; all processes call it together.

        Raises:
            RecurraError: the weights are not finite, or the file cannot be written.
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
        """Logs the end of the run and its reason."""
        self._write("end", step=self.session.step, stopped_because=why, seconds=self.session.trained())

    def close(self) -> None:
        """Closes the files and the progress display."""
        self._progress.finish()
        for file in (self._log, self._board):
            if file is not None:
                file.close()

    def check(self) -> None:
        """Reads pending numbers from the device; all processes call it together.

        Raises:
            RecurraError: a loss or a gradient norm is not finite, on this process or another.
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
        return report_write_errors(self.folder, self.saved_step)


def _current_epoch(session: Session) -> int:
    """The pass, from 1, that the last update belongs to."""
    updates, before = session.trainable.updates, session.passes
    # Some data sources count a pass as complete only when the next one begins: the number of the update decides then.
    first_of_pass = updates.updates_per_epoch() > 1 and session.step % updates.updates_per_epoch() == 1
    return updates.epoch + 1 if first_of_pass else before + 1
