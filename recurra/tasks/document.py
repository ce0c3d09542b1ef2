"""The table of tasks as text: summaries for the terminal, and the page docs/tasks.md."""

from __future__ import annotations

import textwrap

from recurra.tasks import TASKS, Task, capabilities
from recurra.tasks.capabilities import has_capability

# The commands that work with the models of every task with a capability.
_COMMANDS = {
    capabilities.Evaluates: ("evaluate",),
    capabilities.Probes: ("diagnose",),
    capabilities.ReadsText: ("units", "study truncation"),
}


def summary(task: Task) -> str:
    """Returns the first line of the task's help."""
    return task.train_help.partition("\n")[0]


def commands(task: Task) -> list[str]:
    """Returns the commands that work with a model of the task: its verbs, then those of its capabilities."""
    model = task.implementation.model
    shared = [name for capability, names in _COMMANDS.items() if has_capability(model, capability) for name in names]
    return [*(verb.name for verb in task.verbs), *shared, "info"]


def page() -> str:
    """Returns the page docs/tasks.md: a table of all tasks, then a section per task with its help."""
    heads = ["task", "training files", "unit of the loss", "commands"]
    lines = [_HEAD, f"| {' | '.join(heads)} |", "|" + len(heads) * "---|"]
    for task in TASKS.values():
        listed = ", ".join(f"`{name}`" for name in commands(task))
        columns = [f"[{task.name}](#{task.name})", task.files_help, f"nats per {task.loss_per}", listed]
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join([*lines, *map(_section, TASKS.values())])


def _section(task: Task) -> str:
    example = f"```sh\n{task.evaluate_example}\n```"
    evaluated = textwrap.fill(task.evaluate_help, 120)
    return "\n\n".join([f"\n## {task.name}", task.train_help.rstrip(), evaluated, example]) + "\n"


_HEAD = """# Tasks

<!-- Generated: `recurra tasks --markdown > docs/tasks.md`. Change the rows in recurra/tasks/*/task.py instead. -->

The tasks of `recurra train`, and the commands for their models. `recurra train TASK --help` lists the options.
"""
