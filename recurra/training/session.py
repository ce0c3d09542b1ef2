"""The state of a training run in one object, so that it can be captured and restored as a whole."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn, optim

from recurra.training.averaging import Average
from recurra.training.carried_state import from_plain, tensors_to, to_plain
from recurra.training.generators import capture_generators, restore_generators
from recurra.training.meter import Meter
from recurra.training.monitor import Monitor
from recurra.training.optimizers import make_optimizer
from recurra.training.options import TrainingOptions
from recurra.training.plan import Plan
from recurra.training.processes import Processes
from recurra.training.schedules import Plateau, Schedule
from recurra.training.task import Trainable
from recurra.training.validation import ValidationHistory

_UNPLANNED = Plan(0, 1)


@dataclass
class Session:
    """A run in progress.

    Attributes:
        trainable: The task's network, data and loss.
        options: The options of training.
        processes: The processes that train together.
        model: The network as wrapped for precision and processes.
        optimizer: PyTorch's optimizer.
        parameters: The trained parameters.
        schedule: The learning rate schedule.
        plateau: The reductions of the plateau schedule.
        average: The averaged weights.
        clock: Monotonic clock in seconds.
        plan: Number of updates and of validations.
        validations: The validations so far.
        meter: The sums of the current interval.
        carried_state: The state that the next batch starts from.
        step: Number of updates done.
        seconds: Seconds of training until the last checkpoint or start, over all sessions.
        stopped: Why the run ended; empty while it is running.
        monitor: Measures the network during training; None for none.
        validation_due: Whether the validation after update `step` was aborted and is still to be done.
        passes: Number of passes over the data completed before the last update.
        giving_up: Context of work that a signal may abort; with several processes no work is aborted.
    """

    trainable: Trainable
    options: TrainingOptions
    processes: Processes
    model: nn.Module
    optimizer: optim.Optimizer
    parameters: list[nn.Parameter]
    schedule: Schedule
    plateau: Plateau
    average: Average
    clock: Callable[[], float]
    plan: Plan = _UNPLANNED
    validations: ValidationHistory = field(default_factory=ValidationHistory)
    meter: Meter = field(default_factory=Meter)
    carried_state: Any = None
    step: int = 0
    seconds: float = 0.0
    stopped: str = ""
    monitor: Monitor | None = None
    validation_due: bool = False
    passes: int = 0
    giving_up: Callable[[], AbstractContextManager[None]] = nullcontext
    _since: float = 0.0

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return self.parameters[0].device

    @property
    def reads_immediately(self) -> bool:
        """Whether a number can be read from the device without synchronisation."""
        return self.device.type == "cpu"

    def learning_rate(self) -> float:
        """The learning rate of the next update."""
        share = self.schedule.share(self.step, self.plan.total_steps)
        return self.options.learning_rate * share * self.plateau.share

    def start_clock(self) -> None:
        """Starts to count time as training time."""
        self._since = self.clock()
        self.meter.start(self._since)

    def trained(self) -> float:
        """Seconds of training over all sessions of the run."""
        return self.seconds + self.clock() - self._since

    def capture(self) -> dict[str, Any]:
        """Returns everything needed to resume exactly, in plain containers that share the tensors in use."""
        # Generators, position in the data and carried state differ from process to process; the rest is common.
        process = {
            "generators": capture_generators(),
            "updates": self.trainable.updates.state_dict(),
            "carry": to_plain(self.carried_state),
            "meter": self.meter.state_dict(self.clock()),
        }
        return {
            "network": dict(self.trainable.network.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "plateau": self.plateau.state_dict(),
            "average": self.average.state_dict(),
            "judge": self.validations.state_dict(),
            "step": self.step,
            "plan": list(self.plan),
            "stopped": self.stopped,
            "owes_validation": self.validation_due,
            "seconds": self.trained(),
            "processes": self.processes.gather(process),
        }

    def restore(self, captured: dict[str, Any]) -> None:
        """Restores the state returned by `capture`, in this or another process."""
        process = captured["processes"][self.processes.rank]
        self.trainable.network.load_state_dict(captured["network"])
        self.optimizer.load_state_dict(captured["optimizer"])
        self.plateau.load_state_dict(captured["plateau"])
        self.average.load_state_dict(captured["average"])
        self.validations.load_state_dict(captured["judge"])
        self.step, self.plan = captured["step"], Plan(*captured["plan"])
        self.stopped, self.seconds = captured["stopped"], captured["seconds"]
        self.validation_due = captured.get("owes_validation", False)  # absent in checkpoints of earlier versions
        self.trainable.updates.load_state_dict(process["updates"])
        self.carried_state = self.trainable.rebuild_state(tensors_to(self.device, from_plain(process["carry"])))
        self.meter.load_state_dict(process["meter"], self.clock())
        restore_generators(process["generators"])


def make_session(trainable: Trainable, options: TrainingOptions, clock: Callable[[], float]) -> Session:
    """Returns a new session with a new optimizer and the network in training mode."""
    network = trainable.network
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    processes = Processes(network, precision=options.precision)
    rule = make_optimizer(
        network,
        options.optimizer,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        momentum=options.momentum,
        beta2=options.beta2,
    )
    model, optimizer = processes.prepare(network, rule)
    model.train()
    schedule = Schedule(
        options.schedule,
        options.warmup_steps,
        options.final_learning_rate,
        options.decay,
        options.decay_every,
        options.warmup_ratio,
    )
    plateau = Plateau(options.decay, options.plateau_patience, options.final_learning_rate)
    average = Average(parameters, options.averaging, options.averaging_interval)
    session = Session(trainable, options, processes, model, optimizer, parameters, schedule, plateau, average, clock)
    session.start_clock()
    return session
