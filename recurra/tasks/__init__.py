"""The tasks by name. Adding a task is one folder and one line here."""

from recurra.tasks.language_model.job import TASK as LANGUAGE_MODEL
from recurra.tasks.tagger.job import TASK as TAGGER
from recurra.tasks.task import Job, Model, Probe, Task
from recurra.tasks.translator.job import TASK as TRANSLATOR

TASKS: dict[str, Task] = {task.name: task for task in (LANGUAGE_MODEL, TAGGER, TRANSLATOR)}

__all__ = ["TASKS", "Job", "Model", "Probe", "Task"]
