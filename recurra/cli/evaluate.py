"""`recurra evaluate DIR [FILE…]`: the scores of a model on files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from recurra.cli.opening import open_model
from recurra.cli.options import with_options
from recurra.errors import InputError
from recurra.tasks import TASKS, Task, tasks_with
from recurra.tasks.capabilities import Evaluates
from recurra.tasks.fields import field_names


def _evaluate(
    model: Annotated[Path, Parameter(name="DIR")],
    files: Annotated[list[Path] | None, Parameter(name="FILE", negative=())] = None,
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    cell: str | None = None,
    **options: Any,
) -> None:
    opened = open_model(model, cell, needs=Evaluates, does="evaluate")
    task = TASKS[opened.name]
    _check(options, task, model)
    if not (files or options):
        raise InputError(f"{model}: no files to evaluate on: name at least one")
    for name in task.implementation.evaluation_models:
        if options.get(name) is not None:
            options[name] = open_model(options[name], None)
    with tempfile.TemporaryDirectory() as folder:
        scores = opened.evaluate(files or [], Path(folder), **options)
    print(json.dumps(scores) if as_json else task.implementation.report(scores))


def _check(options: Iterable[str], task: Task, model: Path) -> None:
    """Refuses options of other tasks."""
    for name in options:
        if name not in _names(task):
            others = " or a ".join(other.title for other in TASKS.values() if name in _names(other))
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} is for a {others}, but {model} is a {task.title}: leave it out")


def _names(task: Task) -> list[str]:
    options = task.implementation.evaluation
    return [] if options is None else field_names(options)


_HELP = """Evaluate a model on files.

{tasks}

```sh
{examples}
```

Parameters
----------
model
    The folder of a trained model.
files
    {files}
as_json
    Print all scores as one JSON object.
cell
    module:Class, if the model was trained with a user-defined cell.
"""


def _help(tasks: list[Task]) -> str:
    """The help of the command, composed of the texts in the rows of the tasks."""
    files = "; ".join(f"for a {task.title}, {task.evaluate_files}" for task in tasks)
    return _HELP.format(
        tasks=" ".join(task.evaluate_help for task in tasks),
        examples="\n".join(task.evaluate_example for task in tasks),
        files=f"{files[:1].upper()}{files[1:]}.",
    )


_evaluate.__doc__ = _help(tasks_with(Evaluates))
_GROUPS = {task.title: task.implementation.evaluation for task in tasks_with(Evaluates)}
_OPTIONS = {title: options for title, options in _GROUPS.items() if options is not None}
evaluate = with_options(_evaluate, _OPTIONS, {})
