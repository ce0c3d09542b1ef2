"""How long a dependency can a network learn? The adding and the copy problem by delay, with a fixed budget."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Generator, nn

from recurra.cells import Initialisation
from recurra.diagnosis import plots
from recurra.diagnosis.report import Table
from recurra.diagnosis.studies.problems import PROBLEMS, Problem
from recurra.diagnosis.studies.study import Setting, StudyResult
from recurra.layers import Readout, Recurrent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNITS = 64
ROWS = 32
DELAYS = (10, 30, 60, 120)
UPDATES = 1500
TESTED = 512
TEST_EVERY = 100
SOLVED = 0.99
"""Training stops at this accuracy."""


class NetworkSetup(NamedTuple):
    """A cell with its usual initialisation and learning rate."""

    cell: str
    learning_rate: float
    chrono: bool = False
    """Whether gate biases are initialised for time scales up to the delay (Tallec & Ollivier 2018)."""


NETWORKS = {
    "RNN (tanh)": NetworkSetup("elman", 1e-3),
    "LSTM": NetworkSetup("lstm", 2e-2, chrono=True),
    "GRU": NetworkSetup("gru", 2e-2, chrono=True),
    "orthogonal ReLU RNN": NetworkSetup("orthogonal_rnn", 3e-3),
}


class Outcome(NamedTuple):
    """The result of a training run."""

    accuracy: float
    updates: int
    seconds: float


def memory(setting: Setting) -> StudyResult:
    """Trains four networks on two problems at several delays, each for at most the same number of updates."""
    delays, updates = (DELAYS[:2], 100) if setting.quick else (DELAYS, UPDATES)
    outcomes = {
        problem: {name: [_train(setting, problem, name, delay, updates) for delay in delays] for name in NETWORKS}
        for problem in PROBLEMS
    }
    head = ["problem", "network", *(f"delay {delay}" for delay in delays)]
    rows = [
        [problem, name, *(f"{one.accuracy:.0%} ({one.updates} updates)" for one in line)]
        for problem, lines in outcomes.items()
        for name, line in lines.items()
    ]
    numbers = {
        "units": UNITS,
        "batch_size": ROWS,
        "most_updates": updates,
        "delays": list(delays),
        "chance": {problem: PROBLEMS[problem].chance for problem in PROBLEMS},
        "networks": {name: contestant._asdict() for name, contestant in NETWORKS.items()},
        "outcomes": {
            problem: {name: [one._asdict() for one in line] for name, line in lines.items()}
            for problem, lines in outcomes.items()
        },
    }
    sentences = [_describe(problem, lines, delays, updates) for problem, lines in outcomes.items()]

    def draw(figure: Figure, theme: plots.Theme) -> None:
        _draw(figure, theme, outcomes, delays)

    alt = "Accuracy by delay for four networks, left on the adding problem, right on the copy problem."
    return StudyResult(sentences, numbers, plots.picture(draw, alt, size=(12, 5)), [Table(head, rows)])


def _train(setting: Setting, problem: str, name: str, delay: int, updates: int) -> Outcome:
    chosen, task, began = NETWORKS[name], PROBLEMS[problem], time.monotonic()
    generator = setting.generator(list(PROBLEMS).index(problem), list(NETWORKS).index(name), delay)
    init = Initialisation(chrono=delay) if chosen.chrono else None
    layer, readout = Recurrent(chosen.cell, task.inputs, UNITS, init=init), Readout(UNITS, task.outputs)
    layer.reset_parameters(generator)
    network = nn.ModuleList([layer, readout])
    optimizer = torch.optim.Adam(network.parameters(), lr=chosen.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    accuracy, update = 0.0, 0
    while update < updates and accuracy < SOLVED:
        x, target = task.draw(delay, ROWS, generator)
        loss = task.loss(readout(layer(x)[0]), target)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        update += 1
        if update % TEST_EVERY == 0 or update == updates:
            accuracy = _accuracy(layer, readout, task, delay, generator)
    outcome = Outcome(accuracy, update, round(time.monotonic() - began, 1))
    setting.progress(
        f"{task.title}, delay {delay}, {name}: {accuracy:.0%} after {update} updates ({outcome.seconds:.0f} s)"
    )
    return outcome


def _accuracy(layer: Recurrent, readout: Readout, task: Problem, delay: int, generator: Generator) -> float:
    """Accuracy on new sequences."""
    with torch.no_grad():
        x, target = task.draw(delay, TESTED, generator)
        return float(task.right(readout(layer(x)[0]), target))


def _describe(problem: str, lines: dict[str, list[Outcome]], delays: Sequence[int], updates: int) -> str:
    reached = {
        name: [delay for delay, one in zip(delays, line, strict=True) if one.accuracy >= 0.9]
        for name, line in lines.items()
    }
    longest = ", ".join(f"{name} {max(solved) if solved else 'none'}" for name, solved in reached.items())
    return (
        f"{PROBLEMS[problem].title.capitalize()}, at most {updates} updates of {ROWS} sequences: the longest delay "
        f"(of {', '.join(map(str, delays))} steps) with an accuracy of 90 % or more: {longest} (chance: "
        f"{PROBLEMS[problem].chance:.0%})."
    )


def _draw(
    figure: Figure, theme: plots.Theme, outcomes: dict[str, dict[str, list[Outcome]]], delays: Sequence[int]
) -> None:
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (problem, lines) in zip(panels, outcomes.items(), strict=True):
        chance = PROBLEMS[problem].chance
        axes.axhline(chance, color=theme.ink, linewidth=1.2, linestyle="-")
        axes.annotate("chance", (delays[0], chance), (0, -18), textcoords="offset points")
        for place, (name, line) in enumerate(lines.items()):
            # Decreasing marker sizes keep lines distinguishable that coincide at 1.
            axes.plot(
                delays, [one.accuracy for one in line], color=theme.series[place], linestyle=plots.STROKES[place],
                marker=plots.MARKERS[place], markersize=12 - 2 * place, label=name,
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xticks(list(delays), [str(delay) for delay in delays])
        axes.minorticks_off()
        axes.set_ylim(0, 1.06)
        first = axes is panels[0]
        plots.label(axes, "delay (steps)", "accuracy" if first else "", PROBLEMS[problem].title)
    panels[0].legend(loc="lower left", bbox_to_anchor=(0, 0.35))
