"""Everything that changes while training, in one place, so that it can be captured and restored as one."""

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
from recurra.training.validation import Judge

_UNPLANNED = Plan(0, 1)


@dataclass
class Session:
    """A run in progress.

    Attributes:
        trainable: The task's network, data and loss.
        options: How to train.
        processes: This process and its companions.
        model: The network as wrapped for precision and processes.
        optimizer: PyTorch's own optimizer.
        parameters: What it moves.
        schedule: The course of the learning rate that the number of updates decides.
        plateau: The fall of the learning rate that validation decides.
        average: The mean of the weights.
        clock: Seconds since some moment, never going back.
        plan: Length and validations of the run.
        judge: The validations so far.
        meter: The interval in progress.
        carry: The state that the next batch starts from.
        step: Updates done.
        seconds: Trained until the last checkpoint or start, over all sessions.
        stopped: Why the run ended; empty while it has not.
        monitor: Looks at the network; None where nobody does.
        owes_validation: Whether the validation after update `step` was cut off and is still to be done.
        passes: How many passes over the data were complete before the last update.
        giving_up: The context of work that a signal may cut off; with several processes none is.
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
    judge: Judge = field(default_factory=Judge)
    meter: Meter = field(default_factory=Meter)
    carry: Any = None
    step: int = 0
    seconds: float = 0.0
    stopped: str = ""
    monitor: Monitor | None = None
    owes_validation: bool = False
    passes: int = 0
    giving_up: Callable[[], AbstractContextManager[None]] = nullcontext
    _since: float = 0.0

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.parameters[0].device

    @property
    def reads_at_once(self) -> bool:
        """Whether a number can be read from the device without waiting for it."""
        return self.device.type == "cpu"

    def learning_rate(self) -> float:
        """That of the next update."""
        share = self.schedule.share(self.step, self.plan.total_steps)
        return self.options.learning_rate * share * self.plateau.share

    def start_clock(self) -> None:
        """Count time as training from now."""
        self._since = self.clock()
        self.meter.start(self._since)

    def trained(self) -> float:
        """Seconds of training over all sessions of the run."""
        return self.seconds + self.clock() - self._since

    def capture(self) -> dict[str, Any]:
        """Everything needed to go on exactly, in plain containers that share the tensors in use."""
        own = {
            "generators": capture_generators(),
            "updates": self.trainable.updates.state_dict(),
            "carry": to_plain(self.carry),
            "meter": self.meter.state_dict(self.clock()),
        }
        return {
            "network": dict(self.trainable.network.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "plateau": self.plateau.state_dict(),
            "average": self.average.state_dict(),
            "judge": self.judge.state_dict(),
            "step": self.step,
            "plan": list(self.plan),
            "stopped": self.stopped,
            "owes_validation": self.owes_validation,
            "seconds": self.trained(),
            "processes": self.processes.gather(own),
        }

    def restore(self, captured: dict[str, Any]) -> None:
        """Return to what `capture` gave, here or in another process."""
        own = captured["processes"][self.processes.rank]
        self.trainable.network.load_state_dict(captured["network"])
        self.optimizer.load_state_dict(captured["optimizer"])
        self.plateau.load_state_dict(captured["plateau"])
        self.average.load_state_dict(captured["average"])
        self.judge.load_state_dict(captured["judge"])
        self.step, self.plan = captured["step"], Plan(*captured["plan"])
        self.stopped, self.seconds = captured["stopped"], captured["seconds"]
        self.owes_validation = captured.get("owes_validation", False)  # absent in checkpoints of earlier versions
        self.trainable.updates.load_state_dict(own["updates"])
        self.carry = self.trainable.rebuild_state(tensors_to(self.device, from_plain(own["carry"])))
        self.meter.load_state_dict(own["meter"], self.clock())
        restore_generators(own["generators"])


def make_session(trainable: Trainable, options: TrainingOptions, clock: Callable[[], float]) -> Session:
    """A session at its beginning, with a fresh optimizer and the network in training mode."""
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
        options.schedule, options.warmup_steps, options.final_learning_rate, options.decay, options.decay_every
    )
    plateau = Plateau(options.decay, options.plateau_patience, options.final_learning_rate)
    average = Average(parameters, options.averaging, options.averaging_interval)
    session = Session(trainable, options, processes, model, optimizer, parameters, schedule, plateau, average, clock)
    session.start_clock()
    return session
