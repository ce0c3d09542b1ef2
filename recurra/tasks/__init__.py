"""The table of tasks. To add a task, add a folder with its parts and its row to the tuple below."""

from recurra.tasks.capabilities import Probe, has_capability
from recurra.tasks.forecaster.task import TASK as FORECASTER
from recurra.tasks.language_model.task import TASK as LANGUAGE_MODEL
from recurra.tasks.tagger.task import TASK as TAGGER
from recurra.tasks.task import Task, Verb
from recurra.tasks.transcriber.task import TASK as TRANSCRIBER
from recurra.tasks.translator.task import TASK as TRANSLATOR

TASKS: dict[str, Task] = {task.name: task for task in (LANGUAGE_MODEL, TAGGER, TRANSLATOR, TRANSCRIBER, FORECASTER)}


def tasks_with(capability: type) -> list[Task]:
    """Returns the tasks whose models have a capability: a protocol of `recurra.tasks.capabilities`, or a class."""
    return [task for task in TASKS.values() if has_capability(task.implementation.model, capability)]


__all__ = ["TASKS", "Probe", "Task", "Verb", "tasks_with"]
