"""The row of a task in the table of tasks: its names, texts and commands.

A row is importable without torch, so that `recurra --help` lists the commands of all tasks at once. What runs is in
`Task.implementation`, which is imported at its first use.
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
        function: the function, as module:function. The module is imported when the command is called.
        help: one sentence for the list of commands. The docstring of the function is the help of the command itself.
    """

    name: str
    function: str
    help: str


@dataclass(frozen=True, kw_only=True)
class Task:
    """One row of the table of tasks: the names, texts and commands that users see.

    Args:
        name: the name on the command line.
        title: the kind of model in a few words, for cards and help, such as "language model".
        loss_per: what a loss counts: "token", "word", "frame".
        train_help: the help of `recurra train NAME`: a sentence, then paragraphs and examples.
        files_name: the name of its training files in the usage line, such as TEXT.
        files_help: the format of these files, in one sentence.
        evaluate_help: what `recurra evaluate` does with a model of this task, a sentence or two.
        evaluate_files: the files on which it is evaluated, in a few words.
        evaluate_example: command lines that evaluate a model.
        usage: command lines that use a trained model, for its card, with DIR for its folder.
        verbs: the commands that only this task has.
        implement: imports and returns the implementation.
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
        """The implementation; its first use imports torch."""
        return self.implement()
