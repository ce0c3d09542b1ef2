"""The row of a task in the table of tasks: its names, texts and commands.

A row is importable without torch, so that `recurra --help` lists the commands of all tasks at once. What the task runs
is in `Task.implementation`, which is imported at its first use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recurra.tasks.implementation import Implementation


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A command of a task.

    Args:
        name: `tag` for `recurra tag`.
        function: where it is, as module:function. The module is imported when the command is called.
        help: a sentence for the list of commands; the function's docstring is the help of the command itself.
    """

    name: str
    function: str
    help: str


@dataclass(frozen=True, kw_only=True)
class Task:
    """One row of the table of tasks: all that a user meets of a task.

    Args:
        name: as on the command line.
        title: a few words, for cards and help.
        loss_per: what a loss counts: "token", "word", "frame".
        train_help: the help of `recurra train NAME`: a sentence, then paragraphs and examples.
        files_name: what its training files are called in the usage, such as TEXT.
        files_help: what they are.
        evaluate_help: what `recurra evaluate` does with a model of this task, a sentence or two.
        evaluate_files: what it is evaluated on.
        evaluate_example: command lines that evaluate one.
        usage: command lines that use a trained model, for its card, with DIR for its folder.
        verbs: commands of the task's own.
        implement: imports and returns what the task runs.
    """

    name: str
    title: str
    loss_per: str
    train_help: str
    files_name: str
    files_help: str
    evaluate_help: str
    evaluate_files: str
    evaluate_example: str
    usage: str
    implement: Callable[[], Implementation]
    verbs: tuple[Verb, ...] = ()

    @property
    def implementation(self) -> Implementation:
        """What the task runs; imports torch."""
        return self.implement()
